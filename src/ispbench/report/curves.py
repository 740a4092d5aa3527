"""The curves of the ablations whose runs are in the results."""

from pathlib import Path
from typing import Any

import pandas as pd

from ispbench.config import choices
from ispbench.results import store
from ispbench.results.ablation import swept_values
from ispbench.results.comparison import column, compare, student_interval


def curves(results: Path, metric: str) -> list[dict[str, Any]]:
    """One entry a comparison that the runs of an ablation allow.

    Args:
        results: The results folder.
        metric: The score that is drawn; runs without it are left out.

    Returns:
        ``name``, ``title``, ``keys``, ``metric``, ``verdict``, and ``points``: for each value the scores of its
        ``seeds``, their ``mean`` and, from two seeds on, ``low`` and ``high`` of Student's t interval.
    """
    records = [record for record in store.load(results) if record["metrics"].get(metric) is not None]
    found = []
    for name in choices("ablation"):
        for comparison in compare(records, swept_values(name)):
            points = [{"value": value, **_summary(column(runs, metric))} for value, runs in comparison.by_value()]
            about = {"name": name, "title": comparison.title, "keys": comparison.keys, "metric": metric}
            found.append({**about, "verdict": comparison.verdict(metric), "points": points})
    return found


def _summary(scores: pd.Series) -> dict[str, Any]:
    found: dict[str, Any] = {"seeds": [float(score) for score in scores], "mean": float(scores.mean())}
    if scores.nunique() < 2:
        return found
    low, high = student_interval(scores)
    return {**found, "low": low, "high": high}
