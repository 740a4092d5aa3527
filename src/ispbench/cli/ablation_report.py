"""The report of an ablation: its runs as a table, a CSV and a plot."""

import argparse
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ispbench.config import choices, config_folder
from ispbench.errors import UserError
from ispbench.files import write_atomically
from ispbench.results.comparison import SCORES, Comparison, column, compare
from ispbench.results.record import load_records

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
        near = get_close_matches(name, names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UserError(f"Unknown ablation {name!r}.{hint} Ablations: {', '.join(names)}.")
    params = OmegaConf.select(
        OmegaConf.load(config_folder() / "ablation" / f"{name}.yaml"), "hydra.sweeper.params", default={}
    )
    return {str(key).lstrip("+"): str(value).split(",") for key, value in params.items() if key != "seed"}


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


def print_comparison(comparison: Comparison, metric: str, console: Console) -> None:
    """Prints a comparison's table and its verdict."""
    shown = Table(title=escape(comparison.title), box=box.SIMPLE_HEAD)
    for key in comparison.keys:
        shown.add_column(_short(key), overflow="fold")
    scores = SCORES if metric in SCORES else SCORES | {metric: (metric, "{:.4g}")}
    range_of = f"{metric} min..max"
    for heading in ("seeds", *(heading for heading, _ in scores.values()), range_of, "params", "GMACs"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for row in comparison.table(metric).to_dict("records"):
        pattern = scores[metric][1]
        shown.add_row(
            *(escape(str(row[key])) for key in comparison.keys),
            str(row["seeds"]),
            *(" ± ".join(_show(row[f"{name}_{part}"], scores[name][1]) for part in ("mean", "std")) for name in scores),
            "..".join(_show(row[f"{metric}_{part}"], pattern) for part in ("min", "max")),
            _show(row["params"], "{:,.0f}"),
            _show(row["gmacs"], "{:.2f}"),
        )
    console.print(shown)
    console.print(comparison.verdict(metric), markup=False, highlight=False)


def _short(key: str) -> str:
    return key.removeprefix("model.")


def _show(value: Any, pattern: str) -> str:
    return "-" if pd.isna(value) else pattern.format(value)


def _save(figure: "Figure", path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise UserError(f"The plot cannot be written to {path} ({error}); choose another --plot.") from error


def main(arguments: list[str]) -> None:
    """``ispbench ablation-report``."""
    parser = argparse.ArgumentParser(
        prog="ispbench ablation-report",
        description="Make a table and a plot of an ablation's runs, with the noise of the seeds.",
    )
    parser.add_argument("name", metavar="NAME", help=f"the ablation: {', '.join(choices('ablation'))}")
    parser.add_argument("--results", type=Path, default=Path("results"), help="results folder (default: results)")
    parser.add_argument("--metric", default="psnr", help="the score that is plotted and judged (default: psnr)")
    parser.add_argument("--output", type=Path, help="the table (default: RESULTS/ablations/NAME.csv)")
    parser.add_argument("--plot", type=Path, help="the plot (default: RESULTS/ablations/NAME.png)")
    options = parser.parse_args(arguments)
    swept = swept_values(options.name)
    comparisons = compare(load_records(options.results / "runs"), swept)
    if not comparisons:
        raise UserError(
            f"{options.results / 'runs'} holds no finished and tested runs that differ in {' or '.join(swept)} alone; "
            f"make them: python -m ispbench ablation={options.name}"
        )
    known = [*dict.fromkeys(str(name) for comparison in comparisons for name in comparison.runs)]
    known = known[known.index("seed") + 1 : -1]
    if options.metric not in known:
        near = get_close_matches(options.metric, known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UserError(f"Unknown --metric {options.metric!r}.{hint} These runs have {', '.join(known)}.")

    console = Console()
    console.width = max(console.width, 120)
    for comparison in comparisons:
        print_comparison(comparison, options.metric, console)
    tables = [comparison.table(options.metric).assign(title=comparison.title) for comparison in comparisons]
    folder = options.results / "ablations"
    output = options.output or folder / f"{options.name}.csv"
    plot = options.plot or folder / f"{options.name}.png"
    write_atomically(output, pd.concat(tables).to_csv(index=False))
    _save(draw(comparisons, options.metric), plot)
    print(f"wrote {output} and {plot}")
