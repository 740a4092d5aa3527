"""``ispbench sweep``: its arguments, and what it prints."""

import argparse
import math
import shlex
from collections.abc import Sequence
from types import MappingProxyType

from ispbench.errors import UserError
from ispbench.sweep.bayes import Search, search_bayes
from ispbench.sweep.files import METRIC, Sweep, load, shipped
from ispbench.sweep.search import Outcome, search_grid, search_random

_SEARCHES = MappingProxyType({"grid": search_grid, "random": search_random, "bayes": search_bayes})


def main(arguments: list[str]) -> None:
    """Runs a sweep.

    Raises:
        UserError: for a mistake in the arguments or the file.
        SystemExit: with status 1 if a run failed.
    """
    options, rest = _parser().parse_known_args(arguments)
    words = [item for item in rest if "=" not in item and not item.startswith(("-", "~"))]
    if odd := [*words[1:], *(item for item in rest if item.startswith("-"))]:
        raise UserError(f"Unknown argument {odd[0]!r}; overrides have the form key=value, see --help.")
    if options.list or not words:
        if rest and not words:
            raise UserError(f"Name a sweep file: one of {', '.join(shipped())}, or a path.")
        _list()
        return
    sweep = load(words[0]).with_overrides([item for item in rest if item != words[0]])
    if sweep.method == "grid" and options.count:
        raise UserError(f"{sweep.name} is a grid, which runs all of its cells; --count is for random and bayes.")
    count = options.count or sweep.count
    if options.dry_run:
        _print_commands(sweep, options.seed, count)
        return
    outcomes = _SEARCHES[sweep.method](sweep, options.seed, count)
    if outcomes:
        _print_table(outcomes)
    if any(outcome.error for outcome in outcomes):
        raise SystemExit(1)


def _print_commands(sweep: Sweep, seed: int, count: int) -> None:
    if sweep.method == "grid":
        runs = [sweep.grid()]
    elif sweep.method == "random":
        runs = [sweep.run(values) for values in sweep.draws(seed, count)]
    else:
        runs = [sweep.run(Search(sweep, seed).ask()[1])]
    for overrides in runs:
        print(shlex.join(["python", "-m", "ispbench", *overrides]))
    if sweep.method == "bayes" and count > 1:
        print(f"# and {count - 1} more, chosen by the scores")


def _print_table(outcomes: Sequence[Outcome]) -> None:
    from rich.console import Console
    from rich.table import Table

    def rank(outcome: Outcome) -> float:
        return math.inf if outcome.score is None else -outcome.score

    keys = list(outcomes[0].values)
    table = Table(*(key.replace(".", ".\n") for key in keys))
    table.add_column(METRIC, justify="right")
    for outcome in sorted(outcomes, key=rank):
        score = "failed" if outcome.error else "-" if outcome.score is None else f"{outcome.score:.3f}"
        table.add_row(*(str(outcome.values[key]) for key in keys), score)
    Console().print(table)


def _list() -> None:
    sweeps = [load(name) for name in shipped()]
    width = max(len(sweep.name) for sweep in sweeps)
    for sweep in sweeps:
        print(f"{sweep.name:<{width}}  {sweep.method:<6}  {sweep.description}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ispbench sweep",
        usage="%(prog)s NAME|FILE [OPTIONS] [KEY=VALUE ...]",
        description="Run a W&B sweep file on this machine: a grid, a random or a Bayesian search. Without a name, list "
        "those that come with ispbench. A stopped sweep goes on with the same command.",
        epilog="Overrides hold for every run and win over the file: data=zrr data.root=/data/ZRR seed=3.",
        allow_abbrev=False,
    )
    parser.add_argument("--list", action="store_true", help="list the sweep files that come with ispbench")
    parser.add_argument("--count", type=_positive, help="runs of a random or Bayesian search (default: its run_cap)")
    parser.add_argument("--seed", type=int, default=0, help="of the search; seed=... is that of the runs (default: 0)")
    parser.add_argument("--dry-run", action="store_true", help="print the commands instead of running them")
    return parser


def _positive(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value
