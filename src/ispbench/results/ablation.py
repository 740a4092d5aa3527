"""The report of an ablation: its runs as a table, a CSV and a plot, and what the noise of the seeds allows to say."""

import argparse
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
from ispbench.results.record import load_records, write_atomically
from ispbench.results.runs import flatten

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SCORES = {"psnr": ("PSNR ↑", "{:.2f}"), "ssim": ("SSIM ↑", "{:.4f}"), "lpips": ("LPIPS ↓", "{:.4f}")}
_SIGNIFICANT = 0.05
_NAMED = 4  # settings in a title


@dataclass
class Comparison:
    """Finished runs that differ in nothing but the swept keys and the seed.

    Attributes:
        title: Protocol, rules, and what distinguishes these runs from those of the other comparisons.
        keys: The swept keys, such as ``model.num_bases``.
        runs: One row a run: the swept keys, ``seed``, the test's scores, ``params``, ``gmacs`` and ``id``.
    """

    title: str
    keys: list[str]
    runs: pd.DataFrame

    def by_value(self) -> list[tuple[str, pd.DataFrame]]:
        """The runs of each value of the swept keys, under the value's name."""
        groups = self.runs.groupby(self.keys, sort=False)
        return [(" ".join(map(str, value)), rows) for value, rows in groups]

    def table(self, metric: str = "psnr") -> pd.DataFrame:
        """One row a value of the swept keys: mean, standard deviation over seeds, least and greatest of each score."""
        rows = []
        for _, runs in self.by_value():
            row = {key: runs[key].iloc[0] for key in self.keys}
            row |= {"seeds": len(runs)}
            for name in dict.fromkeys((*_SCORES, metric)):
                score = _column(runs, name)
                row |= {f"{name}_{part}": getattr(score, part)() for part in ("mean", "std", "min", "max")}
            rows.append(row | {name: runs[name].iloc[-1] for name in ("params", "gmacs")})
        return pd.DataFrame(rows)

    def verdict(self, metric: str = "psnr") -> str:
        """One sentence on whether the scores differ between the values by more than the seeds make them scatter."""
        from scipy.stats import f_oneway

        samples = [_column(runs, metric).dropna().to_numpy(float) for _, runs in self.by_value()]
        samples = [sample for sample in samples if len(sample)]
        name, unit = metric.upper(), " dB" if metric.startswith("psnr") else ""
        inside = sum(map(len, samples)) - len(samples)
        if len(samples) < 2:
            return f"{name} was measured for fewer than two values: nothing can be concluded."
        means = [sample.mean() for sample in samples]
        apart = f"the means of the {len(samples)} values lie up to {max(means) - min(means):.3g}{unit} apart"
        if not inside:
            return (
                f"{name}: {apart}, but each value was run with a single seed: nothing can be concluded, "
                "since another seed alone may move a score as far."
            )
        scatter = (sum(((sample - sample.mean()) ** 2).sum() for sample in samples) / inside) ** 0.5
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of scores that are all the same
            test = f_oneway(*samples)
        conclusion = (
            "so not all values are equal"
            if test.pvalue < _SIGNIFICANT
            else "so no difference is shown: with few seeds only one far beyond their scatter would be"
        )
        return (
            f"{name}: {apart}, the seeds of one value scatter by {scatter:.3g}{unit} (standard deviation); one-way "
            f"ANOVA F({len(samples) - 1}, {inside}) = {test.statistic:.3g}, p = {test.pvalue:.2g}, {conclusion}."
        )


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


def compare(records: Iterable[Mapping[str, Any]], swept: Mapping[str, Sequence[str]]) -> list[Comparison]:
    """Sorts runs into comparisons: equal configuration but for swept keys and seed, equal protocol, rules and data.

    Args:
        records: Oldest first; of several of one configuration and seed the newest counts.
        swept: The swept keys with their values, in the order of the report.

    Returns:
        The comparisons that hold at least two values.
    """
    settings: dict[str, dict[str, Any]] = {}
    cells: dict[str, dict[tuple[str, ...], dict[str, Any]]] = {}
    for record in records:
        values = _values(record["config"], swept)
        if record["status"] != "finished" or not record["metrics"] or values is None:
            continue
        shared = _shared(record, swept)
        group = json.dumps(shared, sort_keys=True, default=str)
        settings[group] = shared
        row = values | {"seed": record["seed"]} | record["metrics"]
        row |= {name: record["complexity"].get(name) for name in ("params", "gmacs")} | {"id": record["id"]}
        cells.setdefault(group, {})[*map(str, values.values()), str(record["seed"])] = row
    cells = {group: rows for group, rows in cells.items() if len({key[:-1] for key in rows}) > 1}
    comparisons = []
    for title, rows in zip(_titles([settings[group] for group in cells]), cells.values(), strict=True):
        ordered = sorted(rows.values(), key=lambda row: _order(row, swept))
        comparisons.append(Comparison(title, list(swept), pd.DataFrame(ordered)))
    return comparisons


def draw(comparisons: Sequence[Comparison], metric: str = "psnr") -> "Figure":
    """Draws each comparison: mean and standard deviation of every value, and a dot for each seed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.5 * len(comparisons)), layout="constrained")
    for axis, comparison in zip(figure.subplots(len(comparisons), squeeze=False)[:, 0], comparisons, strict=True):
        groups = [(name, _column(runs, metric)) for name, runs in comparison.by_value()]
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
    scores = _SCORES if metric in _SCORES else _SCORES | {metric: (metric, "{:.4g}")}
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


def _values(config: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any] | None:
    """The values of the swept keys; None for a configuration without them."""
    values = {}
    for key in keys:
        value: Any = config
        for part in key.split("."):
            if not isinstance(value, Mapping) or part not in value:
                return None
            value = value[part]
        values[key] = value if isinstance(value, str | int | float) else json.dumps(value, sort_keys=True)
    return values


def _shared(record: Mapping[str, Any], swept: Iterable[str]) -> dict[str, Any]:
    """What the runs of a comparison have in common. The seed of the data follows that of the run."""
    config = {
        key: value
        for key, value in flatten(record["config"]).items()
        if key not in ("seed", "data.seed") and not any(f"{key}.".startswith(f"{name}.") for name in swept)
    }
    return config | {
        "protocol": record["protocol"],
        "rules": ".".join(record["rules"].split(".")[:2]),
        "model": record["model"],
        "data fingerprint": record["data"].get("fingerprint"),
    }


def _titles(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names comparisons by the settings in which they differ; of several that always agree, such as steps, by one."""
    keys = {key for shared in settings for key in shared} - {"protocol", "rules"}
    different: dict[str, str] = {}
    for key in sorted(keys, key=lambda key: (key != "model", key.count("."), len(key), key)):
        values = [json.dumps(shared.get(key)) for shared in settings]
        if len(set(values)) > 1 and not ("model" in different.values() and key.startswith("model.")):
            different.setdefault(" ".join(values), key)
    named = list(different.values())
    more = f", {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return [
        ", ".join(
            [shared["protocol"], f"rules {shared['rules']}"]
            + [f"{key}={shared.get(key, 'none')}" for key in named[:_NAMED]]
        )
        + more
        for shared in settings
    ]


def _order(row: Mapping[str, Any], swept: Mapping[str, Sequence[str]]) -> list[Any]:
    """Numbers by size, words in the order in which they are swept; then the seed."""
    places: list[Any] = []
    for key, values in swept.items():
        value = row[key]
        if isinstance(value, str):
            places.append((1, values.index(value) if value in values else len(values), value))
        else:
            places.append((0, value, ""))
    return [*places, row["seed"]]


def _column(runs: pd.DataFrame, metric: str) -> pd.Series:
    scores = runs[metric] if metric in runs else pd.Series([None] * len(runs))
    return pd.to_numeric(scores)


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
    console.width = max(console.width, 110)
    for comparison in comparisons:
        print_comparison(comparison, options.metric, console)
    tables = [comparison.table(options.metric).assign(title=comparison.title) for comparison in comparisons]
    folder = options.results / "ablations"
    output = options.output or folder / f"{options.name}.csv"
    plot = options.plot or folder / f"{options.name}.png"
    write_atomically(output, pd.concat(tables).to_csv(index=False))
    _save(draw(comparisons, options.metric), plot)
    print(f"wrote {output} and {plot}")
