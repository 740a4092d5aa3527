"""Means by camera, light, ISO, and whatever else a dataset knows of its images, with their intervals."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ispbench.results.image_scores import ImageScores, read_scores
from ispbench.results.rows import Row
from ispbench.results.statistics import intervals

_MOST_VALUES = 24  # of a column that is shown; photographs have more


def breakdown(results: Path, rows: Sequence[Row], scores: Mapping[str, ImageScores]) -> dict[str, Any]:
    """The means of every score by every column that says something of the images.

    Args:
        results: The results folder.
        rows: Of one ranking.
        scores: By metric, those of the rows.

    Returns:
        By column that tells images apart, ``values``, in their order, and ``cells``: by row and metric a list of
        ``mean``, ``low``, ``high`` and ``n``, the number of images, as long as ``values``. An interval that cannot be
        had is left out.
    """
    columns = _columns(results, rows, scores)
    found: dict[str, Any] = {}
    for name, labels in columns.items():
        values = sorted(set(labels), key=_naturally)
        cells: dict[str, dict[str, list[dict[str, float]]]] = {}
        for metric, whole in scores.items():
            for value in values:
                chosen = np.asarray(labels) == value
                for key, line in intervals(part(whole, chosen)).to_dict("index").items():
                    cell = {"mean": line["mean"], "n": int(chosen.sum())}
                    if not math.isnan(line["low"]):
                        cell |= {"low": line["low"], "high": line["high"]}
                    cells.setdefault(str(key), {}).setdefault(metric, []).append(cell)
        found[name] = {"values": values, "cells": cells}
    return found


def part(scores: ImageScores, chosen: np.ndarray) -> ImageScores:
    """The scores of some of the images.

    Args:
        scores: Of all.
        chosen: A truth value for each image.
    """
    return replace(
        scores,
        images=[name for name, keep in zip(scores.images, chosen, strict=True) if keep],
        photos=[name for name, keep in zip(scores.photos, chosen, strict=True) if keep],
        values={key: value[:, chosen] for key, value in scores.values.items()},
        scatter={key: replace(scatter, values=scatter.values[:, chosen]) for key, scatter in scores.scatter.items()},
    )


def _columns(results: Path, rows: Sequence[Row], scores: Mapping[str, ImageScores]) -> dict[str, list[str]]:
    """What is known of each image beside its name, as words, image by image."""
    if not scores:
        return {}
    one = next(iter(scores.values()))
    record = next(row.records[0] for row in rows if row.key in one.values)
    table = read_scores(results, record)
    assert table is not None  # `one` was read from it
    known = [name for name in table.columns if name not in ("image", "photo", *record["metrics"])]
    columns = {name: [str(value) for value in table[name]] for name in known}
    return {name: labels for name, labels in columns.items() if 1 < len(set(labels)) <= _MOST_VALUES}


def _naturally(value: str) -> list[tuple[int, float, str]]:
    """Sorts numbers within words by size: 800 before 1600."""
    return [(0, float(word), "") if word.isdigit() else (1, 0.0, word) for word in re.split(r"(\d+)", value) if word]
