"""Runs that differ in the swept keys alone: their scores, and what the noise of the seeds allows to say."""

import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ispbench.results.differences import flatten

SCORES = {"psnr": ("PSNR ↑", "{:.2f}"), "ssim": ("SSIM ↑", "{:.4f}"), "lpips": ("LPIPS ↓", "{:.4f}")}
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
            for name in dict.fromkeys((*SCORES, metric)):
                score = column(runs, name)
                row |= {f"{name}_{part}": getattr(score, part)() for part in ("mean", "std", "min", "max")}
            rows.append(row | {name: runs[name].iloc[-1] for name in ("params", "gmacs")})
        return pd.DataFrame(rows)

    def verdict(self, metric: str = "psnr") -> str:
        """One sentence on whether the scores differ between the values by more than the seeds make them scatter."""
        from scipy.stats import f_oneway

        samples = [column(runs, metric).dropna().to_numpy(float) for _, runs in self.by_value()]
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


def column(runs: pd.DataFrame, metric: str) -> pd.Series:
    """A score of each run as a number, NaN where it was not measured."""
    scores = runs[metric] if metric in runs else pd.Series([None] * len(runs))
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
