"""The scores of rows image by image, in one order, as the statistics take them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ispbench.errors import UserError
from ispbench.metrics.table import shown_as
from ispbench.results.rows import Record, Row

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Scatter:
    """How far a seed moves the scores of a row.

    Attributes:
        whose: ``own``, of the seeds of the row's setting; ``others``, of other rows of the ranking, where it has one
            seed; ``unknown``, where these have one as well; ``none``, for a row that no seed can move.
        values: Single trainings minus the mean of their setting, image by image, shape (trainings, images), scaled so
            that their variance is that of a training.
        freedom: Degrees of freedom of that variance.
        source: Names what they were taken from.
    """

    whose: str
    values: Values
    freedom: int = 0
    source: str = ""


@dataclass(frozen=True)
class ImageScores:
    """Scores of one metric on the same images.

    Attributes:
        metric: Its name.
        higher_is_better: Its direction.
        images: Names of the images.
        photos: The photograph that each image is of; the image itself where the dataset knows of none.
        values: By the row's key, shape (seeds, images).
        scatter: By the row's key, how far a seed moves its scores.
    """

    metric: str
    higher_is_better: bool
    images: list[str]
    photos: list[str]
    values: dict[str, Values]
    scatter: dict[str, Scatter] = field(default_factory=dict)


def scores_path(results: Path, record: Record) -> Path:
    """The table of an evaluation's single images."""
    return results / "evaluations" / f"{record['id']}.scores.csv"


def read_scores(results: Path, record: Record) -> pd.DataFrame | None:
    """The table of an evaluation's single images; None if there is none.

    Raises:
        UserError: for a file that is no such table.
    """
    path = scores_path(results, record)
    return _read(path, path.stat().st_mtime_ns) if path.is_file() else None


@lru_cache(maxsize=512)
def _read(path: Path, changed: int) -> pd.DataFrame:
    """A table, read once as long as it does not change."""
    try:
        table = pd.read_csv(path, dtype={"image": str, "photo": str})
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not a readable table of scores ({error}); restore it.") from error
    if "image" not in table:
        raise UserError(f"{path} has no column 'image'; restore the table that the evaluation wrote.")
    return table


def image_scores(results: Path, rows: Sequence[Row], metric: str, others: Sequence[Row] = ()) -> ImageScores | None:
    """The scores of rows that were scored on the same images.

    Args:
        results: The results folder.
        rows: Of one protocol, split and set of pairs.
        metric: The score.
        others: Further rows of the same ranking, whose seeds tell how far a seed moves a score.

    Returns:
        The scores of the rows whose evaluations have one for every image; None if there is no such row.

    Raises:
        UserError: for rows of different images.
    """
    tables: dict[str, pd.DataFrame] = {}

    def load(row: Row) -> Values | None:
        seeds = [tables.get(record["id"], read_scores(results, record)) for record in row.records]
        whole = [
            scores for scores in seeds if scores is not None and metric in scores and not scores[metric].isna().any()
        ]
        if len(whole) < len(row.records):
            return None
        for record, scores in zip(row.records, whole, strict=True):
            tables[record["id"]] = scores
            if list(scores["image"]) != list(next(iter(tables.values()))["image"]):
                path = scores_path(results, record)
                raise UserError(f"{path} is of other images than the rows beside it; evaluate it again.")
        return np.stack([scores[metric].to_numpy(np.float64) for scores in whole])

    values = {row.key: value for row in rows if (value := load(row)) is not None}
    if not values:
        return None
    table = next(iter(tables.values()))
    photos = list(table["photo"] if "photo" in table else table["image"])
    pools: dict[str, Values] = {}
    for row in (*others, *rows):
        value = load(row) if row.learns else None
        if value is not None and len(value) > 1:
            pools.setdefault(row.setting, _residuals(value))
    scatter = {row.key: _scatter(row, pools, len(photos)) for row in rows if row.key in values}
    return ImageScores(metric, shown_as(metric).higher_is_better, list(table["image"]), photos, values, scatter)


def _scatter(row: Row, pools: dict[str, Values], images: int) -> Scatter:
    if not row.learns:
        return Scatter("none", np.empty((0, images)))
    if row.setting in pools:
        own = pools[row.setting]
        return Scatter("own", own, len(own) - 1, row.setting)
    if not pools:
        return Scatter("unknown", np.empty((0, images)))
    together = np.concatenate(list(pools.values()))
    return Scatter("others", together, len(together) - len(pools), "others")


def _residuals(values: Values) -> Values:
    """Each seed's distance from the mean over seeds, with the variance of n - 1."""
    seeds = len(values)
    return np.asarray((values - values.mean(0)) * (seeds / (seeds - 1)) ** 0.5)
