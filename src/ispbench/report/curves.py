"""The curves of the ablations whose runs are in the results."""

from pathlib import Path
from typing import Any

from ispbench.config import choices
from ispbench.results import store
from ispbench.results.ablation import swept_values
from ispbench.results.comparison import column, compare

CONFIDENCE = 0.95


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
            points = [
                {"value": value, **_summary([float(score) for score in column(runs, metric)])}
                for value, runs in comparison.by_value()
            ]
            about = {"name": name, "title": comparison.title, "keys": comparison.keys, "metric": metric}
            found.append({**about, "verdict": comparison.verdict(metric), "points": points})
    return found


def _summary(scores: list[float]) -> dict[str, Any]:
    from scipy.stats import sem, t

    mean = sum(scores) / len(scores)
    error = float(sem(scores)) if len(scores) > 1 else 0.0
    if not error:
        return {"seeds": scores, "mean": mean}
    low, high = t.interval(CONFIDENCE, len(scores) - 1, mean, error)
    return {"seeds": scores, "mean": mean, "low": float(low), "high": float(high)}
