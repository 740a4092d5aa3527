"""The report of an ablation: what it sweeps, and its runs as a table, a CSV and a plot."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ispbench.config import choices, config_folder
from ispbench.errors import UserError, suggest
from ispbench.metrics.table import shown_as
from ispbench.results import store
from ispbench.results.comparison import Comparison, compare
from ispbench.results.sheets import Sheet, show

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def swept_values(name: str) -> dict[str, list[str]]:
    """The keys that ``conf/ablation/<name>.yaml`` sweeps or fixes, with their values; the seed is none of them.

    Raises:
        UserError: for an unknown name, naming the valid ones.
    """
    from omegaconf import OmegaConf

    names = choices("ablation")
    if name not in names:
        raise UserError(f"Unknown ablation {name!r}.{suggest(name, names)} Ablations: {', '.join(names)}.")
    params = OmegaConf.select(
        OmegaConf.load(config_folder() / "ablation" / f"{name}.yaml"), "hydra.sweeper.params", default={}
    )
    return {str(key).lstrip("+"): str(value).split(",") for key, value in params.items() if key != "seed"}


def ablation_runs(name: str, results: Path, metric: str) -> list[Comparison]:
    """The comparisons that the runs of an ablation allow.

    Args:
        name: Of the ablation.
        results: The results folder.
        metric: The score they are to have.

    Raises:
        UserError: if there are none, or the score is not among theirs.
    """
    swept = swept_values(name)
    comparisons = compare(store.load(results), swept)
    if not comparisons:
        raise UserError(
            f"{results} holds no finished evaluations that differ in {' or '.join(swept)} alone; "
            f"make them: python -m ispbench ablation={name}"
        )
    known = [*dict.fromkeys(str(score) for comparison in comparisons for score in comparison.runs)]
    known = known[known.index("seed") + 1 : -1]
    if metric not in known:
        raise UserError(f"Unknown metric {metric!r}.{suggest(metric, known)} These runs have {', '.join(known)}.")
    return comparisons


def numbers(comparisons: Sequence[Comparison], metric: str) -> pd.DataFrame:
    """One line a value of the swept keys, the title of its comparison at the end."""
    return pd.concat([comparison.table(metric).assign(title=comparison.title) for comparison in comparisons])


def draw(comparisons: Sequence[Comparison], metric: str = "psnr") -> "Figure":
    """Draws each comparison: mean and standard deviation of every value, and a line through the dots of each seed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.5 * len(comparisons)), layout="constrained")
    for axis, comparison in zip(figure.subplots(len(comparisons), squeeze=False)[:, 0], comparisons, strict=True):
        by_seed = comparison.by_seed(metric)
        places = np.arange(by_seed.shape[1])
        for _, scores in by_seed.iterrows():
            axis.plot(places + 0.12, scores, "o-", color="tab:orange", alpha=0.6, markersize=5, linewidth=0.6)
        axis.errorbar(places, by_seed.mean(), by_seed.std(), fmt="s", color="tab:blue", capsize=4)
        axis.set_xticks(places, by_seed.columns, rotation=20 if len(places) > 6 else 0)
        axis.set_title(comparison.title, fontsize="small", wrap=True)
        axis.set(xlabel=" ".join(map(_short, comparison.keys)), ylabel=shown_as(metric).label)
        axis.grid(alpha=0.3, axis="y")
    return figure


def save_plot(figure: "Figure", path: Path) -> None:
    """Writes a plot in the format that the suffix names.

    Raises:
        UserError: for an unknown format, or if the place cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise UserError(f"The plot cannot be written to {path} ({error}); choose another plot=FILE.") from error


def sheet_of(comparison: Comparison, metric: str = "psnr") -> Sheet:
    """A comparison's table, and its verdict beneath it."""
    scores = comparison.measured(metric)
    patterns = {name: f"{{:.{shown_as(name).digits}f}}" for name in scores}
    rows = []
    for place, values in enumerate(comparison.table(metric).to_dict("records")):
        low, high = (show(values[f"difference_{end}"], patterns[metric]) for end in ("low", "high"))
        difference = show(values["difference"], patterns[metric].replace(":", ":+"))
        rows.append(
            (
                *(str(values[key]) for key in comparison.keys),
                str(values["seeds"]),
                *(
                    " ± ".join(filter(None, (show(values[f"{name}_{part}"], pattern) for part in ("mean", "std"))))
                    for name, pattern in patterns.items()
                ),
                "" if not place else f"{difference} [{low}, {high}]" if low else difference,
                show(values["params"], "{:,.0f}"),
                show(values["gmacs"], "{:.2f}"),
            )
        )
    keys = tuple(map(_short, comparison.keys))
    headings = (*keys, "seeds", *(shown_as(name).heading for name in scores))
    headings += (f"{shown_as(metric).label} to the first row", "params", "GMACs")
    notes = [comparison.verdict(metric)]
    if any(row[-3].endswith("]") for row in rows):
        notes.append(
            "± is the standard deviation over seeds; in brackets, 95 % intervals of the difference seed by seed, over "
            "seeds alone, of one comparison each."
        )
    return Sheet(comparison.title, headings, rows, frozenset(keys), notes)


def _short(key: str) -> str:
    return key.removeprefix("model.")
