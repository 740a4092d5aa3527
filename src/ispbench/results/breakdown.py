"""The means of a metric by what the dataset knows of its images, such as the camera."""

from pathlib import Path
from typing import Any

import pandas as pd

from ispbench.console import Column, table
from ispbench.errors import UserError
from ispbench.metrics.table import shown_as
from ispbench.results import store


def print_breakdown(results: Path, by: str, metric: str = "psnr") -> None:
    """Prints the means of a metric by what the dataset knows of its images, one table a protocol.

    Args:
        results: The results folder.
        by: camera, light, iso, photo, or another column of the scores.
        metric: Its name.

    Raises:
        UserError: if no evaluation is broken down so.
    """
    finished = [record for record in store.load(results) if record["status"] == "finished" and record["metrics"]]
    found = [record for record in finished if metric in record["metrics"] and record.get("by", {}).get(by)]
    if not found:
        known = sorted({name for record in finished for name in record.get("by", {})})
        raise UserError(
            f"No evaluation in {results} has {metric} by {by}; they are broken down by {', '.join(known) or 'nothing'}."
        )
    entry = shown_as(metric)
    pattern = f"{{:.{entry.digits}f}}"
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for record in found:
        groups.setdefault((record["protocol"], record["split"], record["rules"]), []).append(record)
    for (protocol, split, rules), rows in sorted(groups.items()):
        values = list(dict.fromkeys(value for row in rows for value in row["by"][by]))
        shown = [Column("model"), Column("variant", fold=True), Column("seed", right=True), Column("all", right=True)]
        shown += [Column(value, right=True) for value in values]
        rows.sort(key=lambda row: row["metrics"][metric], reverse=entry.higher_is_better)
        cells = [
            (
                row["model"],
                row["variant"],
                _show(row["seed"], "{:.0f}"),
                pattern.format(row["metrics"][metric]),
                *(_show(row["by"][by].get(value, {}).get(metric), pattern) for value in values),
            )
            for row in rows
        ]
        title = f"{protocol}{'' if split == 'test' else f', {split} split'}, {metric} by {by}, rules {rules}"
        table(shown, cells, title=title, min_width=60 + sum(max(len(value), 6) + 3 for value in values))


def _show(value: Any, pattern: str) -> str:
    return "-" if value is None or pd.isna(value) else pattern.format(value)
