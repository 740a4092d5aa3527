"""What the report's page says, as data: the leaderboard's rows, and what the scores of single images tell of them."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ispbench.metrics.table import TABLE, shown_as
from ispbench.report.breakdown import breakdown
from ispbench.report.curves import curves
from ispbench.report.pictures import Pictures
from ispbench.report.provenance import facts
from ispbench.results.image_scores import ImageScores, image_scores
from ispbench.results.leaderboard import leaderboard, ranked_rows
from ispbench.results.rows import Ranking, Row
from ispbench.results.statistics import image_table, win_rates

_NAMES = {"camera": "Camera", "light": "Light", "iso": "ISO"}


def contents(results: Path, metric: str, outputs: Path | None) -> dict[str, Any]:
    """All that the page says.

    Args:
        results: The results folder.
        metric: The score that ranks are by.
        outputs: Folder of the runs, whose checkpoints render the images; None for a page without images.

    Returns:
        What JSON can hold. The rows are those of `ispbench.results.leaderboard.leaderboard`, under the same names.

    Raises:
        UserError: if there is no such folder, for an unreadable record, or if no evaluation has the score.
    """
    lines = _plain(leaderboard(results, metric))
    places = {(line["ranking_key"], line["row"]): place for place, line in enumerate(lines)}

    def place_of(row: Row) -> int:
        return places[row.ranking.key, row.key]

    rows = sorted(ranked_rows(results, metric), key=place_of)
    pictures = Pictures(outputs)
    boards = []
    for ranking, group in groupby(rows, key=lambda row: row.ranking):
        members = list(group)
        board = _board(results, ranking, members, metric, pictures)
        board["rows"] = [
            {**lines[place_of(row)], "index": index, "facts": facts(row)} for index, row in enumerate(members)
        ]
        boards.append(board)
    for board, files in zip(boards, pictures.embedded(), strict=True):
        board["files"] = files
    measured = dict.fromkeys(name for board in boards for name in board["metrics"])
    return {
        "about": _about(rows),
        "names": _NAMES,
        "ranked_by": metric,
        "metrics": {name: describe(name) for name in dict.fromkeys((*measured, metric))},
        "boards": sorted(boards, key=lambda board: -len(board["rows"])),  # the page opens at the first
        "ablations": curves(results, metric),
    }


def describe(metric: str) -> dict[str, Any]:
    """How the page names and formats a score."""
    entry = shown_as(metric)
    return {
        "higher": entry.higher_is_better,
        "label": entry.label,
        "unit": entry.unit,
        "digits": entry.digits,
        "description": entry.description,
    }


def _board(results: Path, ranking: Ranking, rows: Sequence[Row], metric: str, pictures: Pictures) -> dict[str, Any]:
    names = _measured(rows)
    scores = {name: found for name in names if (found := image_scores(results, rows, name)) is not None}
    images = {} if metric not in scores else picks(scores[metric])
    reason = pictures.add(rows, [pick["image"] for pick in images.values()])
    wins = {
        name: {"keys": list(found.values), "share": win_rates(found).to_numpy().round(4).tolist()}
        for name, found in scores.items()
    }
    return {
        "title": ranking.title,
        "about": _about_images(rows),
        "metrics": names,
        "wins": wins,
        "by": breakdown(results, rows, scores),
        "picks": images,
        "without_images": reason,
    }


def picks(scores: ImageScores) -> dict[str, dict[str, Any]]:
    """The images that a reader should see: the worst and the best over all rows, and the one they differ on most."""
    table = image_table(scores)  # the most disputed first
    keys = list(scores.values)
    means = table[keys].mean(axis=1).to_numpy()
    ends = {"worst": int(means.argmin()), "best": int(means.argmax())}
    if not scores.higher_is_better:
        ends = {"worst": ends["best"], "best": ends["worst"]}
    about = describe(scores.metric)

    def pick(place: int, reason: str, value: float) -> dict[str, Any]:
        line = table.iloc[place]
        told = f"{value:.{about['digits']}f} {about['unit']}".strip()
        return {
            "image": line["image"],
            "reason": f"{reason}: {told}",
            "scores": {key: float(line[key]) for key in keys},
        }

    found = {name: pick(place, f"has the {name} mean over the rows", means[place]) for name, place in ends.items()}
    if len(keys) > 1:
        found["disputed"] = pick(0, "sets the rows furthest apart", float(table["spread"].iloc[0]))
    return found


def _measured(rows: Sequence[Row]) -> list[str]:
    """The scores that a row has, in the order of the table of metrics, those of one's own after them."""
    found = {name for row in rows for record in row.records for name in record["metrics"]} - {"nonfinite"}
    return [name for name in TABLE if name in found] + sorted(found - set(TABLE))


def _about_images(rows: Sequence[Row]) -> str:
    newest = rows[0].newest
    simulated = ", RAW simulated from photographs" if newest["simulated"] else ""
    inputs = dict.fromkeys(size for row in rows if (size := row.newest["complexity"].get("gmacs_input")))
    costs = f" GMACs are of {', '.join(inputs)} packed RAW." if inputs else ""
    return f"{newest['data'].get('n_images')} images{simulated}.{costs}"


def _about(rows: Sequence[Row]) -> str:
    evaluations = [record for row in rows for record in row.records]
    if not evaluations:
        return "The leaderboard of learned camera ISPs."
    newest = max(record["date"] for record in evaluations)[:10]
    versions = ", ".join(sorted({record["ispbench"] for record in evaluations}))
    return (
        f"The leaderboard of learned camera ISPs, from {len(evaluations)} evaluations; the newest is of {newest}. "
        f"Measured with ispbench {versions}."
    )


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The lines of a table without what is missing, in Python's own types."""
    return [
        {
            str(name): value.item() if isinstance(value, np.generic) else value
            for name, value in line.items()
            if not pd.isna(value)
        }
        for line in table.to_dict("records")
    ]
