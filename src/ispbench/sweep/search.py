"""The runs of a sweep: all of a grid, or random ones."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from ispbench.config import compose
from ispbench.errors import UserError
from ispbench.sweep.files import Sweep


@dataclass(frozen=True)
class Outcome:
    """What became of a run: its best validation PSNR, or why there is none."""

    values: Mapping[str, Any]
    score: float | None
    error: str | None = None


def search_grid(sweep: Sweep, seed: int, count: int) -> list[Outcome]:
    """All combinations in one Hydra multirun, so that launchers work."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    from ispbench.cli.main import train

    overrides = sweep.grid()
    varied = [item for item in OverridesParser.create().parse_overrides(overrides[1:]) if item.is_sweep_override()]
    keys = [item.get_key_element() for item in varied]
    cells = product(*(item.sweep_string_iterator() for item in varied))
    scores = train(overrides)
    if not scores:  # a launcher ran them in other processes
        print("`ispbench runs` lists the runs and their scores.")
        return []
    return [Outcome(dict(zip(keys, cell, strict=True)), score) for cell, score in zip(cells, scores, strict=True)]


def search_random(sweep: Sweep, seed: int, count: int) -> list[Outcome]:
    """Random configurations one after another."""
    outcomes = []
    for number, values in enumerate(sweep.draws(seed, count)):
        if not number:
            compose(sweep.run(values))  # a mistake is told once instead of by every run
        outcomes.append(attempt(sweep, values, f"run {number + 1} of {count}"))
    return outcomes


def attempt(sweep: Sweep, values: Mapping[str, Any], title: str) -> Outcome:
    """Makes one run; if it fails, that is told and the next can go on."""
    from rich.console import Console

    from ispbench.cli.main import train

    overrides = sweep.run(values)
    console = Console()
    console.print(f"[bold]{title}[/]  {' '.join(overrides[len(sweep.fixed) :])}", highlight=False, soft_wrap=True)
    score = None
    try:
        (score,) = train(overrides)
        error = None if score is not None and math.isfinite(score) else "no validation score"
    except SystemExit as stop:
        error = f"it ended with status {stop.code}"
    except UserError as mistake:
        error = str(mistake)
    except Exception as failure:
        error = f"{type(failure).__name__}: {failure}"
    if error:
        Console(stderr=True).print(f"ispbench: {title} failed: {error}", markup=False, highlight=False, soft_wrap=True)
        return Outcome(values, None, error)
    return Outcome(values, score)
