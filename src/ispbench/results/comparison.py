"""Runs that differ in the swept keys alone: their scores, and what the noise of the seeds allows to say."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ispbench.metrics.table import shown_as
from ispbench.results.differences import flatten
from ispbench.results.statistics import CONFIDENCE

SCORES = ("psnr", "psnr_color_fitted", "ssim", "lpips", "dynamic_gain_db")
_NAMED = 4  # settings in a title


@dataclass
class Comparison:
    """Finished runs that differ in nothing but the swept keys and the seed.

    Attributes:
        title: Protocol, rules, and what distinguishes these runs from those of the other comparisons.
        keys: The swept keys, such as ``model.num_bases``.
        runs: One row a run: the swept keys, ``seed``, the test's scores, what dynamic weights are worth, ``params``,
            ``gmacs`` and ``id``.
    """

    title: str
    keys: list[str]
    runs: pd.DataFrame

    def by_value(self) -> list[tuple[str, pd.DataFrame]]:
        """The runs of each value of the swept keys, under the value's name."""
        groups = self.runs.groupby(self.keys, sort=False)
        return [(" ".join(map(str, value)), rows) for value, rows in groups]

    def by_seed(self, metric: str) -> pd.DataFrame:
        """A score, one line a seed and one column a value; NaN where it was not measured."""
        scores = {value: column(runs.set_index("seed"), metric) for value, runs in self.by_value()}
        return pd.DataFrame(scores).sort_index()

    def measured(self, metric: str) -> list[str]:
        """The scores of a table: `metric`, and those of `SCORES` that any run has."""
        had = [name for name in SCORES if column(self.runs, name).notna().any()]
        return list(dict.fromkeys((metric, *had)))

    def table(self, metric: str = "psnr") -> pd.DataFrame:
        """One row a value of the swept keys.

        Returns:
            The swept keys; ``seeds``; of each score its mean, standard deviation over seeds, least and greatest; the
            mean difference of `metric` to the first row, seed by seed, as ``difference`` with its interval
            ``difference_low`` and ``difference_high`` (Student's t); ``params`` and ``gmacs``.
        """
        rows = []
        by_seed = self.by_seed(metric)
        for place, (value, runs) in enumerate(self.by_value()):
            row = {key: runs[key].iloc[0] for key in self.keys}
            row |= {"seeds": len(runs)}
            for name in dict.fromkeys((*SCORES, metric)):
                score = column(runs, name)
                row |= {f"{name}_{part}": getattr(score, part)() for part in ("mean", "std", "min", "max")}
            paired = (by_seed[value] - by_seed.iloc[:, 0]).dropna() if place else pd.Series(dtype=float)
            low, high = student_interval(paired)
            row |= {"difference": paired.mean(), "difference_low": low, "difference_high": high}
            rows.append(row | {name: runs[name].iloc[-1] for name in ("params", "gmacs")})
        return pd.DataFrame(rows)

    def verdict(self, metric: str = "psnr") -> str:
        """One sentence on whether the scores differ between the values by more than chance makes them.

        The seeds are blocks: what a seed adds to the score of every value counts neither for nor against a difference.
        """
        entry = shown_as(metric)
        name, unit = entry.label, f" {entry.unit}" if entry.unit else ""
        by_seed = self.by_seed(metric).dropna(axis="columns", how="all")
        if by_seed.shape[1] < 2:
            return f"{name} was measured for fewer than two values: nothing can be concluded."
        means = by_seed.mean()
        apart = f"the means of the {len(means)} values lie up to {means.max() - means.min():.3g}{unit} apart"
        blocks = by_seed.dropna()
        if len(blocks) < 2:
            shared = "a single seed" if len(blocks) else "no seed"
            return (
                f"{name}: {apart}, but all values share {shared}: nothing can be concluded, "
                "since another seed alone may move a score as far."
            )
        statistic, freedom, scatter = block_analysis(blocks)
        p = _chance(statistic, freedom)
        conclusion = (
            "so not all values are equal"
            if p < 1 - CONFIDENCE
            else "so no difference is shown: with few seeds only one far beyond their scatter would be"
        )
        return (
            f"{name}: {apart}; within one seed a value is {scatter:.3g}{unit} off (standard deviation); analysis of "
            f"variance with {len(blocks)} seeds as blocks F({freedom[0]}, {freedom[1]}) = {statistic:.3g}, "
            f"p = {p:.2g}, {conclusion}."
        )


def block_analysis(scores: pd.DataFrame) -> tuple[float, tuple[int, int], float]:
    """The analysis of variance of a randomized block design.

    Args:
        scores: One line a block, one column a treatment, all measured.

    Returns:
        F of the treatments, its degrees of freedom, and the standard deviation that neither explains.
    """
    values = scores.to_numpy(float)
    treatments = values.mean(0) - values.mean()
    rest = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
    freedom = values.shape[1] - 1, (values.shape[0] - 1) * (values.shape[1] - 1)
    between, within = len(values) * (treatments**2).sum() / freedom[0], (rest**2).sum() / freedom[1]
    statistic = between / within if within else float("inf") if between else 0.0
    return float(statistic), freedom, float(within**0.5)


def _chance(statistic: float, freedom: tuple[int, int]) -> float:
    from scipy.stats import f

    return float(f.sf(statistic, *freedom))


def student_interval(scores: pd.Series) -> tuple[float, float]:
    """Student's t interval of a mean; NaN below two values."""
    from scipy.stats import t

    if len(scores) < 2:
        return float("nan"), float("nan")
    half = t.ppf((1 + CONFIDENCE) / 2, len(scores) - 1) * scores.sem()
    return float(scores.mean() - half), float(scores.mean() + half)


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
        row |= {name: record["dynamic"].get(name) for name in ("dynamic_gain_db", "spread")}
        row |= {name: record["complexity"].get(name) for name in ("params", "gmacs")} | {"id": record["id"]}
        cells.setdefault(group, {})[*map(str, values.values()), str(record["seed"])] = row
    cells = {group: rows for group, rows in cells.items() if len({key[:-1] for key in rows}) > 1}
    comparisons = []
    for title, rows in zip(_titles([settings[group] for group in cells]), cells.values(), strict=True):
        ordered = sorted(rows.values(), key=lambda row: _order(row, swept))
        comparisons.append(Comparison(title, list(swept), pd.DataFrame(ordered)))
    return comparisons


def column(runs: pd.DataFrame, metric: str) -> pd.Series:
    """A score of each run as a number, NaN where it was not measured."""
    scores = runs[metric] if metric in runs else pd.Series([None] * len(runs), index=runs.index)
    return pd.to_numeric(scores)


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
