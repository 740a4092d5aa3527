"""What papers publish, beside what was measured here: never in one column, and with the reason why the two differ.

The numbers are data, ``published/*.json`` of a results folder; `results/README.md` explains their fields.
"""

import json
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ispbench.errors import UserError
from ispbench.metrics.table import TABLE
from ispbench.results.filters import Filters
from ispbench.results.leaderboard import leaderboard
from ispbench.results.sheets import Sheet, show

CHECKS = {
    "read": "read in the source",
    "secondary": "from a second source",
    "derived": "computed from other numbers",
    "unverified": "UNVERIFIED",
}
_SCORES = ("psnr", "ssim", "lpips")
FIELDS = {"schema", "dataset", "protocol", "protocol_here", "source", "checked", "how", "metrics", "rows"}
_ROW = {"model", "here", "scores", "params", "sampling", "difference"}
COLUMNS = {
    "dataset": "of the published number",
    "published_protocol": "what it was scored against, as far as it is known",
    "published_model": "as the source names it",
    **{f"published_{name}": f"{name} of the source" for name in _SCORES},
    "published_params": "parameters of the source",
    "definitions": "how the source computes its scores",
    "sampling": "how samples were chosen, if a target took part in it",
    "checked": f"how the number was checked: {', '.join(CHECKS)}",
    "how": "the same in words",
    "source": "the work, and the place in it",
    "model": "the model here; empty if it is not part of the suite",
    "protocol": "the measured row's",
    "trained_on": "the measured row's",
    "budget": "the measured row's",
    "seeds": "the measured row's",
    **{f"measured_{name}": f"mean {name} here; empty if nothing was measured" for name in _SCORES},
    "measured_params": "parameters here",
    "difference": "why the two differ",
    "row": "the measured row, as in leaderboard.csv",
}


def beside_measured(
    results: Path,
    filters: Filters | None = None,
    include_unverified: bool = False,
    board: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Published numbers, each with the rows measured here for the same model and protocol.

    Args:
        results: The results folder.
        filters: Which are shown, by dataset, protocol and model; the others choose measured rows.
        include_unverified: Whether numbers are shown that nobody has checked against their source.
        board: The leaderboard by PSNR under these filters; None: it is made.

    Returns:
        One line for each published number and measured row, or with no measured row; `COLUMNS`.

    Raises:
        UserError: if there is no such folder, or for a file that is none of ours.
    """
    filters = filters or Filters()
    board = leaderboard(results, "psnr", filters) if board is None else board
    lines: list[dict[str, Any]] = []
    for entry in _read_all(results):
        for row in entry["rows"]:
            if (entry["checked"] == "unverified" and not include_unverified) or not _passes(entry, row, filters):
                continue
            published = _published(entry, row)
            same = np.array([fnmatch(protocol, entry["protocol_here"] or "") for protocol in board["protocol"]], bool)
            found = board[same & (board["model"] == row["here"]) & (board["variant"] == "")]
            lines += [published | _measured(measured) for measured in found.to_dict("records")] or [published]
    return pd.DataFrame(lines, columns=list(COLUMNS)).astype(
        dict.fromkeys(("published_params", "measured_params", "seeds"), "Int64")
    )


def _passes(entry: dict[str, Any], row: dict[str, Any], filters: Filters) -> bool:
    here = row["here"] or row["model"]
    return fnmatch(entry["dataset"], filters.dataset.partition("-v")[0]) and fnmatch(here, filters.model)


def _published(entry: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    source = entry["source"]
    return {
        "dataset": entry["dataset"],
        "published_protocol": entry["protocol"],
        "published_model": row["model"],
        **{f"published_{name}": row["scores"].get(name) for name in _SCORES},
        "published_params": row["params"],
        "definitions": "; ".join(f"{name}: {text}" for name, text in entry["metrics"].items()),
        "sampling": row["sampling"],
        "checked": entry["checked"],
        "how": entry["how"],
        "source": f"{source['work']}, {source['place']}",
        "model": row["here"],
        "difference": row["difference"],
    }


def _measured(row: dict[str, Any]) -> dict[str, Any]:
    same = {name: row[name] for name in ("protocol", "trained_on", "budget", "seeds", "row")}
    return same | {f"measured_{name}": row[name] for name in _SCORES} | {"measured_params": row["params"]}


def sheets_of(table: pd.DataFrame) -> list[Sheet]:
    """One table a dataset and published protocol; their notes say where each number is from, and why it differs."""
    return [_sheet(rows) for _, rows in table.groupby(["dataset", "published_protocol"], sort=False)]


def _sheet(rows: pd.DataFrame) -> Sheet:
    first = rows.iloc[0]
    scores = [name for name in _SCORES if rows[[f"published_{name}", f"measured_{name}"]].notna().any(axis=None)]
    headings = ["published model", *(f"published {TABLE[name].heading}" for name in scores), "checked"]
    headings += ["model here", *(f"measured {TABLE[name].heading}" for name in scores), "measured under"]
    lines, notes = [], {}
    for row in rows.to_dict("records"):
        under = "" if pd.isna(row["protocol"]) else f"{row['protocol']}, {row['budget']}, {row['seeds']} seeds"
        chosen = "" if pd.isna(row["sampling"]) else " (best of N)"
        lines.append(
            (
                f"{row['published_model']}{chosen}",
                *(show(row[f"published_{name}"], f"{{:.{TABLE[name].digits}f}}") for name in scores),
                CHECKS[row["checked"]],
                "" if pd.isna(row["model"]) else row["model"],
                *(show(row[f"measured_{name}"], f"{{:.{TABLE[name].digits}f}}") for name in scores),
                under or "not measured",
            )
        )
        sampling = "" if pd.isna(row["sampling"]) else f" Sampling: {row['sampling']}."
        notes[row["published_model"]] = f"{row['published_model']} ({row['source']}): {row['difference']}{sampling}"
    texts = frozenset({"published model", "checked", "model here", "measured under"})
    title = f"{first['dataset']}, published against {first['published_protocol']}"
    definitions = dict.fromkeys(rows["definitions"])
    return Sheet(
        title, tuple(headings), lines, texts, [*notes.values(), *(f"Published scores: {text}." for text in definitions)]
    )


def _read_all(results: Path) -> Iterator[dict[str, Any]]:
    for path in sorted((results / "published").glob("*.json")):
        try:
            entry = json.loads(path.read_text())
            wrong = set(entry) ^ FIELDS or next((set(row) ^ _ROW for row in entry["rows"] if set(row) != _ROW), set())
            if wrong or entry["checked"] not in CHECKS or not set(entry["source"]) == {"work", "place"}:
                raise ValueError(f"missing or unknown: {', '.join(sorted(wrong)) or 'checked or source'}")
        except (OSError, ValueError, TypeError) as error:
            raise UserError(f"{path} is no file of published numbers ({error}); see results/README.md.") from error
        yield entry
