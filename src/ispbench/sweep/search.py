"""The runs of a sweep: all of a grid, or random ones."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from ispbench.config import compose
from ispbench.console import say, warn
from ispbench.errors import UserError, mistake_in
from ispbench.sweep.files import Sweep

Train = Callable[[Sequence[str]], list[float | None]]  # runs a training from overrides, see ispbench.cli.train


@dataclass(frozen=True)
class Outcome:
    """What became of a run: its best validation PSNR, or why there is none."""

    values: Mapping[str, Any]
    score: float | None
    error: str | None = None


class GridError(UserError):
    """Some cells of a grid failed.

    Attributes:
        results: Of each cell that was run, its score, and why there is none.
    """

    def __init__(self, results: Sequence[tuple[float | None, str | None]]) -> None:
        self.results = results
        failed = sum(error is not None for _, error in results)
        super().__init__(
            f"{failed} of {len(results)} cells of the grid failed, as told above. Their records hold the tracebacks "
            "(see `ispbench runs`); the same command runs what is missing."
        )


def search_grid(sweep: Sweep, train: Train) -> list[Outcome]:
    """Runs all combinations in one Hydra multirun, so that launchers work.

    Returns:
        The outcomes; none where a launcher ran them in other processes.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    overrides = sweep.grid()
    varied = [item for item in OverridesParser.create().parse_overrides(overrides[1:]) if item.is_sweep_override()]
    keys = [item.get_key_element() for item in varied]
    cells = product(*(item.sweep_string_iterator() for item in varied))
    results: Sequence[tuple[float | None, str | None]]
    try:
        results = [(score, None) for score in train(overrides)]
    except GridError as error:
        results = error.results
    values = (dict(zip(keys, cell, strict=True)) for cell in cells)
    return [Outcome(each, *result) for each, result in zip(values, results, strict=False)]


def search_random(sweep: Sweep, seed: int, count: int, train: Train) -> list[Outcome]:
    """Makes runs of random configurations one after another."""
    outcomes = []
    for number, values in enumerate(sweep.draws(seed, count)):
        if not number:
            compose(sweep.run(values))  # a mistake is told once instead of by every run
        outcomes.append(attempt(sweep, values, f"run {number + 1} of {count}", train))
    return outcomes


def attempt(sweep: Sweep, values: Mapping[str, Any], title: str, train: Train) -> Outcome:
    """Makes one run; if it fails, says so, and the next can go on."""
    overrides = sweep.run(values)
    say(f"{title}  {' '.join(overrides[len(sweep.fixed) :])}")
    score = None
    try:
        (score,) = train(overrides)
        error = None if score is not None and math.isfinite(score) else "no validation score"
    except SystemExit as stop:
        error = f"it ended with status {stop.code}"
    except Exception as failure:
        error = str(mistake_in(failure) or f"{type(failure).__name__}: {failure}")
    if error:
        warn(f"{title} failed: {error}")
        return Outcome(values, None, error)
    return Outcome(values, score)
