"""Figures of a comparison."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from ispbench.errors import UserError
from ispbench.metrics.table import TABLE, shown_as
from ispbench.results.image_scores import ImageScores
from ispbench.results.statistics import image_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

TARGET = "target"
_DATASETS = 3  # that a critical-difference diagram needs, and rows
_DOTS = 30  # images in a figure of scores alone
_FIGURE_DOT = 0.28  # inches a line of it


def draw_images(
    scores: ImageScores, names: Mapping[str, str], pictures: "Mapping[str, Mapping[str, NDArray[Any]]]"
) -> "Figure":
    """Draws images side by side with their scores.

    Args:
        scores: Of the rows.
        names: What each row is called, by its key.
        pictures: By image and row, arrays of shape (H, W, 3), uint8; the target is `TARGET`.
    """
    from matplotlib.figure import Figure

    shown = (TARGET, *names)
    figure = Figure(figsize=(3 * len(shown), 2.6 * len(pictures)), layout="constrained")
    digits = shown_as(scores.metric).digits
    for line, (image, sides) in zip(
        figure.subplots(len(pictures), len(shown), squeeze=False), pictures.items(), strict=True
    ):
        place = scores.images.index(image)
        for axis, key in zip(line, shown, strict=True):
            axis.axis("off")
            title = image if key == TARGET else f"{names[key]} {scores.values[key][:, place].mean():.{digits}f}"
            axis.set_title(title, fontsize="small", wrap=True)
            if key in sides:
                axis.imshow(sides[key])
            else:
                axis.text(0.5, 0.5, "no image at hand", ha="center", va="center", color="0.5")
    return figure


def draw_scores(scores: ImageScores, names: Mapping[str, str]) -> "Figure":
    """Draws the scores of the images on which rows differ most, a line an image."""
    from matplotlib.figure import Figure

    table = image_table(scores).head(_DOTS).iloc[::-1]
    figure = Figure(figsize=(8, 1.5 + _FIGURE_DOT * len(table)), layout="constrained")
    axis = figure.subplots()
    axis.hlines(range(len(table)), table[list(names)].min(axis=1), table[list(names)].max(axis=1), color="0.8")
    for key, name in names.items():
        axis.plot(table[key], range(len(table)), "o", label=name)
    axis.set_yticks(range(len(table)), table["image"], fontsize="small")
    axis.set_xlabel(TABLE[scores.metric].heading if scores.metric in TABLE else scores.metric)
    axis.grid(alpha=0.3, axis="x")
    axis.legend()
    return figure


def draw_critical_difference(means: pd.DataFrame, higher_is_better: bool) -> "Figure":
    """Draws the mean ranks of rows over datasets, those that a Nemenyi test cannot tell apart connected.

    Args:
        means: One line a dataset, one column a row.
        higher_is_better: Of the score.

    Raises:
        UserError: for fewer than three datasets or rows, or if scikit-posthocs is not installed.
    """
    if min(means.shape) < _DATASETS:
        raise UserError(
            f"A critical-difference diagram ranks at least {_DATASETS} rows over at least {_DATASETS} datasets; here "
            f"are {means.shape[1]} rows over {', '.join(map(str, means.index)) or 'no dataset that all have'}."
        )
    try:
        from scikit_posthocs import critical_difference_diagram, posthoc_nemenyi_friedman
    except ImportError as error:
        raise UserError('The diagram needs a package that is missing: pip install "ispbench[statistics]".') from error
    from matplotlib.figure import Figure

    ranks = means.rank(axis=1, ascending=not higher_is_better).mean()
    figure = Figure(figsize=(8, 1.5 + 0.3 * len(ranks)), layout="constrained")
    axis = figure.subplots()
    critical_difference_diagram(ranks, posthoc_nemenyi_friedman(means), ax=axis)
    axis.set_title(f"mean rank over {len(means)} datasets", fontsize="small")
    return figure
