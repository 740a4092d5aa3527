"""Latencies that were measured apart from evaluations, on a quiet machine: ``latencies/NAME.json`` of a results folder.

python -m ispbench profile model=metaisp,unet output=results/latencies/NAME.json
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ispbench.errors import UserError

BUSY = 0.1  # an interquartile range above this part of the median: the machine did other work
_NAMES = {"median_ms": "latency_ms", "iqr_ms": "latency_iqr_ms", "min_ms": "latency_min_ms", "input": "latency_input"}


def as_recorded(measured: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `ispbench.evaluation.latency.Latency` under the names that records and tables have for them."""
    return {_NAMES.get(name, name): value for name, value in measured.items()}


def spread(measured: Mapping[str, Any]) -> float:
    """The interquartile range as a part of the median."""
    return float(measured["latency_iqr_ms"] / measured["latency_ms"])


def latencies(results: Path) -> dict[str, dict[str, Any]]:
    """By model, its newest steady latency, under the names of `as_recorded`; of models as their files have them.

    Raises:
        UserError: for a file that is not one of ``ispbench profile``.
    """
    files = []
    for path in sorted((results / "latencies").glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            rows = {row["model"]: as_recorded(row) for row in content["models"]}
            steady = {model: row for model, row in rows.items() if spread(row) <= BUSY}
            files.append((content["date"], {} if content["overrides"] else steady))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
            raise UserError(
                f"{path} is no file of `ispbench profile output=` ({error}); delete it, or measure again."
            ) from error
    return {model: row for _, rows in sorted(files, key=lambda file: file[0]) for model, row in rows.items()}
