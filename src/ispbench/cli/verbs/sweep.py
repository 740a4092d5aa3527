"""Run a W&B sweep file on this machine, without an account or a server.

A grid, a random or a Bayesian search. Without a name, the files that come with ispbench are listed. A stopped sweep
goes on with the same command. Overrides hold for every run and win over the file: data=zrr data.root=/data/ZRR seed=3.
"""

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ispbench.cli.arguments import overrides, positional, setting
from ispbench.console import Column, say, table
from ispbench.errors import UserError

if TYPE_CHECKING:
    from ispbench.sweep.files import Sweep
    from ispbench.sweep.search import Outcome


@dataclass
class Settings:
    """What the verb takes."""

    name: str | None = positional("NAME", "a sweep file of yours, or one that comes with ispbench", default=None)
    list_: bool = setting(False, "list the sweep files that come with ispbench")
    count: int | None = setting(None, "runs of a random or Bayesian search (default: its run_cap)", at_least=1)
    seed: int = setting(0, "of the search; seed=N is that of the runs", dashes_only=True)
    dry_run: bool = setting(False, "print the commands instead of running them")
    overrides: list[str] = overrides("any key of the configuration, for all runs")


def run(settings: Settings) -> None:
    """Runs a sweep and prints its runs, the best first.

    Raises:
        UserError: for a mistake in the arguments or the file, and at the end if a run failed.
    """
    from ispbench.sweep.files import load, shipped

    if settings.list_ or settings.name is None:
        if settings.overrides and not settings.list_:
            raise UserError(f"Name a sweep file: one of {', '.join(shipped())}, or a path.")
        _list()
        return
    sweep = load(settings.name).with_overrides(settings.overrides)
    if sweep.method == "grid" and settings.count:
        raise UserError(f"{sweep.name} is a grid, which runs all of its cells; --count is for random and bayes.")
    count = settings.count or sweep.count
    if settings.dry_run:
        _print_commands(sweep, settings.seed, count)
        return
    outcomes = _search(sweep, settings.seed, count)
    if not outcomes:  # a launcher ran them in other processes
        say("`ispbench runs` lists the runs and their scores.")
        return
    _print_table(outcomes)
    if failed := sum(outcome.error is not None for outcome in outcomes):
        raise UserError(f"{failed} of {len(outcomes)} runs failed, as told above.")


def _search(sweep: "Sweep", seed: int, count: int) -> list["Outcome"]:
    from ispbench.cli.train import train

    if sweep.method == "grid":
        from ispbench.sweep.search import search_grid

        return search_grid(sweep, train)
    if sweep.method == "random":
        from ispbench.sweep.search import search_random

        return search_random(sweep, seed, count, train)
    from ispbench.sweep.bayes import search_bayes

    return search_bayes(sweep, seed, count, train)


def _print_commands(sweep: "Sweep", seed: int, count: int) -> None:
    if sweep.method == "grid":
        runs = [sweep.grid()]
    elif sweep.method == "random":
        runs = [sweep.run(values) for values in sweep.draws(seed, count)]
    else:
        from ispbench.sweep.bayes import Search

        runs = [sweep.run(Search(sweep, seed).ask()[1])]
    for words in runs:
        say(shlex.join(["python", "-m", "ispbench", *words]))
    if sweep.method == "bayes" and count > 1:
        say(f"# and {count - 1} more, chosen by the scores")


def _print_table(outcomes: Sequence["Outcome"]) -> None:
    from ispbench.sweep.files import METRIC

    def rank(outcome: "Outcome") -> float:
        return math.inf if outcome.score is None else -outcome.score

    keys = list(outcomes[0].values)
    rows = []
    for outcome in sorted(outcomes, key=rank):
        score = "failed" if outcome.error else "-" if outcome.score is None else f"{outcome.score:.3f}"
        rows.append((*(outcome.values[key] for key in keys), score))
    table([*(Column(key, fold=True) for key in keys), Column(METRIC, right=True)], rows)


def _list() -> None:
    from ispbench.sweep.files import load, shipped

    sweeps = [load(name) for name in shipped()]
    width = max(len(sweep.name) for sweep in sweeps)
    for sweep in sweeps:
        say(f"{sweep.name:<{width}}  {sweep.method:<6}  {sweep.description}")
