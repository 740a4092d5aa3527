"""What the statistics say of rows side by side, as people read it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ispbench.errors import UserError
from ispbench.metrics.table import shown_as
from ispbench.results.image_scores import ImageScores, image_scores
from ispbench.results.rows import Row
from ispbench.results.sheets import Sheet
from ispbench.results.statistics import differences, image_table, win_rates, worst_images

SHOWN = 6  # images in a table or a figure


def names_of(rows: Sequence[Row]) -> dict[str, str]:
    """What each row is called: its model, and whatever else tells it from the others."""
    names = {row.key: row.name for row in rows}
    for part in (_seed, lambda row: row.ranking.budget, lambda row: row.key[:6]):
        double = {name for name in names.values() if list(names.values()).count(name) > 1}
        names = {row.key: f"{name} {part(row)}" if (name := names[row.key]) in double else name for row in rows}
    return names


def _seed(row: Row) -> str:
    return "seed " + "+".join(str(record.get("seed")) for record in row.records) if row.part_of else ""


def compared_scores(results: Path, rows: Sequence[Row], others: Sequence[Row], metric: str) -> ImageScores:
    """The scores of rows image by image.

    Args:
        results: The results folder.
        rows: To compare, see `ispbench.results.selection.selected`.
        others: The rows beside them.
        metric: The score.

    Raises:
        UserError: if one of them has none.
    """
    scores = image_scores(results, rows, metric, others)
    missing = [row.name for row in rows if scores is None or row.key not in scores.values]
    if scores is None or missing:
        raise UserError(
            f"{results} holds no {metric} of single images of {' and '.join(missing)}; restore the tables "
            "evaluations/ID.scores.csv, or evaluate again with overwrite=always."
        )
    return scores


def means_over_datasets(sets: Sequence[Sequence[Row]], names: Sequence[str], metric: str) -> pd.DataFrame:
    """The mean score of each name on each dataset; tracks of one dataset are averaged, since they share photographs.

    Args:
        sets: The rows of each name, one set for each protocol and track.
        names: What was compared.
        metric: The score.

    Returns:
        One line a dataset, one column a name.
    """
    lines = [
        {"dataset": rows[0].ranking.dataset}
        | {
            name: float(np.mean([record["metrics"][metric] for record in row.records]))
            for name, row in zip(names, rows, strict=True)
        }
        for rows in sets
    ]
    return pd.DataFrame(lines).groupby("dataset").mean()


def comparison_sheets(rows: Sequence[Row], scores: ImageScores) -> list[Sheet]:
    """Tables of paired differences, win rates, and the images behind them."""
    names = names_of(rows)
    sheets = [_differences(rows, scores, names), _win_rates(scores, names), _disputed(scores, names)]
    return [*sheets, _worst(scores, names)]


def _differences(rows: Sequence[Row], scores: ImageScores, names: Mapping[str, str]) -> Sheet:
    told = differences(scores)
    digits = _digits(scores)
    lines: list[tuple[str, ...]] = []
    for row in told.to_dict("records"):
        first, second = names[row["first"]], names[row["second"]]
        better = first if (row["difference"] > 0) == scores.higher_is_better else second
        verdict = f"{better} is better" if row["distinguishable"] else "no difference found"
        lines.append(
            (
                first,
                second,
                f"{row['difference']:+{digits}} [{row['low']:+{digits}}, {row['high']:+{digits}}]",
                f"{row['p']:.2g}",
                f"{row['p_holm']:.2g}",
                f"{row['win_rate']:.0%}",
                verdict,
            )
        )
    label = shown_as(scores.metric).label
    headings = ("first", "second", f"{label}, first - second", "p", "p (Holm)", "first wins", "verdict")
    photos = len(set(scores.photos))
    evidence = f"{len(scores.images)} images of {photos} photographs"
    if photos == len(scores.images):
        evidence = f"{photos} images, each taken as a photograph of its own"
    notes = [
        f"{evidence}. In brackets, 95 % intervals: photographs are resampled, then seeds. "
        f"p: paired Wilcoxon test over {told['units'].iloc[0]}. A difference is found where p (Holm) is below 0.05 and "
        "the interval leaves out zero.",
        *_on_seeds(rows, scores, names),
    ]
    return Sheet(rows[0].ranking.title, headings, lines, frozenset({"first", "second", "verdict"}), notes)


def _on_seeds(rows: Sequence[Row], scores: ImageScores, names: Mapping[str, str]) -> list[str]:
    """What is known of how far a seed moves a score, where it is not by the seeds that are compared."""
    sentences = {
        "unknown": "One seed, and no other to tell how far a seed moves a score: what is found holds for this "
        "training, perhaps not for the model.",
        "others": "One seed: how far a seed moves its score is taken from other rows of the ranking.",
    }
    notes = []
    for known, sentence in sentences.items():
        named = [names[row.key] for row in rows if scores.scatter[row.key].whose == known]
        if named:
            notes.append(f"{', '.join(named)}: {sentence}")
    budgets = dict.fromkeys(row.ranking.budget for row in rows)
    if len(budgets) > 1:
        notes.append(f"The training budgets differ: {', '.join(budgets)}.")
    return notes


def _win_rates(scores: ImageScores, names: Mapping[str, str]) -> Sheet:
    rates = win_rates(scores)
    lines = [
        (names[first], *("" if first == second else f"{rates.loc[first, second]:.0%}" for second in rates.columns))
        for first in rates.index
    ]
    headings = ("wins on images", *(f"over {names[key]}" for key in rates.columns))
    return Sheet("Win rates", headings, lines, frozenset({"wins on images"}))


def _disputed(scores: ImageScores, names: Mapping[str, str]) -> Sheet:
    digits = _digits(scores)
    lines = [
        (row["image"], *(f"{row[key]:{digits}}" for key in names), f"{row['spread']:{digits}}")
        for row in image_table(scores).head(SHOWN).to_dict("records")
    ]
    return Sheet("Images on which they differ most", ("image", *names.values(), "apart"), lines, frozenset({"image"}))


def _worst(scores: ImageScores, names: Mapping[str, str]) -> Sheet:
    digits = _digits(scores)
    columns = [worst_images(scores, key, SHOWN) for key in names]
    lines = [
        tuple(f"{table['image'][place]} {table['score'][place]:{digits}}" for table in columns)
        for place in range(min(SHOWN, len(scores.images)))
    ]
    headings = tuple(names.values())
    return Sheet("Worst images of each", headings, lines, frozenset(headings))


def _digits(scores: ImageScores) -> str:
    return f".{shown_as(scores.metric).digits}f"
