"""The report of an ablation: what it sweeps, and its runs as a table, a CSV and a plot."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ispbench.config import choices, config_folder
from ispbench.console import Column, say, table
from ispbench.errors import UserError, suggest
from ispbench.results import store
from ispbench.results.comparison import SCORES, Comparison, column, compare

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


def as_csv(comparisons: Sequence[Comparison], metric: str) -> str:
    """One line a value of the swept keys, the title of its comparison at the end."""
    tables = [comparison.table(metric).assign(title=comparison.title) for comparison in comparisons]
    return pd.concat(tables).to_csv(index=False)


def draw(comparisons: Sequence[Comparison], metric: str = "psnr") -> "Figure":
    """Draws each comparison: mean and standard deviation of every value, and a dot for each seed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.5 * len(comparisons)), layout="constrained")
    for axis, comparison in zip(figure.subplots(len(comparisons), squeeze=False)[:, 0], comparisons, strict=True):
        groups = [(name, column(runs, metric)) for name, runs in comparison.by_value()]
        for place, (_, scores) in enumerate(groups):
            axis.plot([place + 0.12] * len(scores), scores, "o", color="tab:orange", alpha=0.7, markersize=5)
        means, spreads = ([getattr(scores, part)() for _, scores in groups] for part in ("mean", "std"))
        axis.errorbar(range(len(groups)), means, spreads, fmt="s", color="tab:blue", capsize=4)
        axis.set_xticks(range(len(groups)), [name for name, _ in groups], rotation=20 if len(groups) > 6 else 0)
        axis.set_title(comparison.title, fontsize="small", wrap=True)
        axis.set(xlabel=" ".join(map(_short, comparison.keys)), ylabel=metric)
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


def print_comparison(comparison: Comparison, metric: str) -> None:
    """Prints a comparison's table and its verdict."""
    scores = SCORES if metric in SCORES else SCORES | {metric: (metric, "{:.4g}")}
    headings = ("seeds", *(heading for heading, _ in scores.values()), f"{metric} min..max", "params", "GMACs")
    columns = [Column(_short(key), fold=True) for key in comparison.keys]
    columns += [Column(heading, right=True) for heading in headings]
    rows = []
    for values in comparison.table(metric).to_dict("records"):
        pattern = scores[metric][1]
        spreads = [
            " ± ".join(_show(values[f"{name}_{part}"], scores[name][1]) for part in ("mean", "std")) for name in scores
        ]
        rows.append(
            (
                *(values[key] for key in comparison.keys),
                values["seeds"],
                *spreads,
                "..".join(_show(values[f"{metric}_{part}"], pattern) for part in ("min", "max")),
                _show(values["params"], "{:,.0f}"),
                _show(values["gmacs"], "{:.2f}"),
            )
        )
    table(columns, rows, title=comparison.title, min_width=120)
    say(comparison.verdict(metric))


def _short(key: str) -> str:
    return key.removeprefix("model.")


def _show(value: Any, pattern: str) -> str:
    return "-" if pd.isna(value) else pattern.format(value)
