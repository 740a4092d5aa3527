"""The leaderboard: one row a setting, its seeds aggregated, ranked within what compares.

Everything that shows the leaderboard takes this one table, so that no two of its forms can disagree.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ispbench.errors import UserError
from ispbench.metrics.table import TABLE, shown_as
from ispbench.results.filters import Filters
from ispbench.results.image_scores import ImageScores, image_scores
from ispbench.results.latencies import BUSY, latencies, spread
from ispbench.results.pareto import mark
from ispbench.results.rows import Ranking, Row, load_rows
from ispbench.results.statistics import intervals, ranks
from ispbench.results.verifications import TIERS, Tiers

_COUNTS = ("params", "params_used", "gmacs", "gmacs_input", "gmacs_256x256", "gmacs_fullhd")
_TIMES = ("latency_ms", "latency_iqr_ms", "latency_input", "device", "precision", "peak_memory_mb", "memory_kind")
_WHOLE = ("limit", "rank", "seeds", "n_images", "params", "params_used")
_YES_NO = ("simulated", "pareto_params", "pareto_gmacs", "pareto_latency", "dirty")
_SAME_DEVICE = ("device", "precision", "latency_input", "compiled", "channels_last")

# Column of the table: what it holds. `results/README.md` says the same, and a test compares the two.
BEFORE = {
    "ranking": "what its rows agree in, in words",
    "dataset": "the scored dataset with the version of its splits",
    "track": "its track; empty for datasets without tracks",
    "protocol": "dataset with version and track, and the target",
    "split": "which split was scored",
    "rules": "Major.Minor of the measuring rules",
    "trained_on": "dataset of the training, with its version and track; empty if nothing was trained",
    "budget": "of the training, or why there is none",
    "limit": "how many of the first images were scored; 0 for all",
    "simulated": "true where the RAW was computed from photos",
    "ranked_by": "the score that ranks are by",
    "rank": "rows of one rank cannot be told from the best of them",
    "model": "the file of `conf/model/`",
    "variant": "settings of the model other than its default",
    "tier": f"{', '.join(TIERS)}",
    "seeds": "number of trainings that the scores are means of",
}
AFTER = {
    "n_images": "how many images were scored",
    "train_s": "mean wall time of a training in seconds, validation included; the machine may have been busy",
    "params": "parameters of the bare network",
    "params_used": "parameters that the output depends on",
    "gmacs": "1e9 multiply-accumulates of one image",
    "gmacs_input": "the packed RAW that they are of",
    "gmacs_256x256": "the same for Bayer images of 256x256",
    "gmacs_fullhd": "the same for Bayer images of 1080x1920",
    "latency_ms": "median time of one image; empty where `latency_note` says why",
    "latency_iqr_ms": "interquartile range of the times",
    "latency_input": "the packed RAW that was timed",
    "device": "which timed",
    "precision": "of the timing",
    "peak_memory_mb": "highest memory",
    "memory_kind": "of what the memory is",
    "latency_note": "why there is no latency",
    "pareto_params": "whether no row of the ranking is better with as few parameters",
    "pareto_gmacs": "whether no row of the ranking is better with as few multiply-accumulates",
    "pareto_latency": "whether no row of the ranking is better and as fast on the same device",
    "origin": "what was scored: a training, weights or images",
    "checkpoint": "which checkpoint of the training",
    "data_fingerprint": "hash of the scored pairs",
    "date": "of the newest evaluation",
    "commits": "of the evaluations",
    "training_commits": "of the trainings",
    "dirty": "whether one of them had uncommitted changes",
    "ispbench": "versions",
    "ids": "the evaluations' records",
    "training_keys": "the trainings' keys",
    "weights": "hashes of the scored weights or images",
    "ranking_key": "names the ranking: a hash of what its rows agree in",
    "row": "names the row: a hash of all that its evaluations agree in",
}


def scores_of(extra: Sequence[str] = ()) -> list[str]:
    """The columns of the scores: each metric's mean and the ends of its interval."""
    return [f"{name}{end}" for name in (*TABLE, *extra) for end in ("", "_low", "_high")]


def leaderboard(results: Path, metric: str = "psnr", filters: Filters | None = None) -> pd.DataFrame:
    """The leaderboard of a results folder.

    Args:
        results: The results folder.
        metric: The score that rows are ranked by; evaluations without it are left out.
        filters: Which rows are shown. Ranks are among these.

    Returns:
        One line a row, `BEFORE`, the scores and `AFTER` being its columns; rankings one after the other, the best row
        first. Missing numbers are NaN or None.

    Raises:
        UserError: if there is no such folder, or for an unreadable record.
    """
    rows = ranked_rows(results, metric, filters)
    tiers, profiled = Tiers(results), latencies(results)
    measured = {name for row in rows for record in row.records for name in record["metrics"]} - {"nonfinite"}
    extra = sorted(measured - set(TABLE))
    columns = [*BEFORE, *scores_of(extra), *AFTER]
    rankings: dict[Ranking, list[Row]] = {}
    for row in rows:
        rankings.setdefault(row.ranking, []).append(row)
    lines: list[dict[str, Any]] = []
    for ranking in sorted(rankings):
        members = rankings[ranking]
        names = [
            name
            for name in (*TABLE, *extra)
            if any(name in record["metrics"] for row in members for record in row.records)
        ]
        scores = {name: image_scores(results, members, name) for name in names}
        means = _means(members, scores)
        lines += _ranked([_facts(row, tiers, profiled) | means[row.key] for row in members], scores[metric], metric)
    board = pd.DataFrame(lines, columns=columns)
    return board.astype(dict.fromkeys(_WHOLE, "Int64") | dict.fromkeys(_YES_NO, "boolean"))


def ranked_rows(results: Path, metric: str = "psnr", filters: Filters | None = None) -> list[Row]:
    """The rows of the leaderboard with their records, in no order; see `leaderboard`."""
    if not results.is_dir():
        raise UserError(f"There is no folder {results}; run a training first, or give results=DIR.")
    return (filters or Filters()).apply(load_rows(results, metric))


def _ranked(lines: list[dict[str, Any]], scores: ImageScores | None, metric: str) -> list[dict[str, Any]]:
    """The lines of a ranking, the best first, with ranks and Pareto marks; without scores of images no rank."""
    sign = -1 if shown_as(metric).higher_is_better else 1
    lines.sort(key=lambda line: (sign * line[metric], line["model"], line["row"]))
    places = {} if scores is None else ranks(scores, [line["row"] for line in lines if line["row"] in scores.values])
    for line in lines:
        line |= {"ranked_by": metric, "rank": places.get(line["row"])}
    mark(lines, "pareto_params", metric, "params")
    mark(lines, "pareto_gmacs", metric, "gmacs", ("gmacs_input",))
    mark(lines, "pareto_latency", metric, "latency_ms", _SAME_DEVICE)
    return lines


def _means(rows: Sequence[Row], scores: Mapping[str, ImageScores | None]) -> dict[str, dict[str, float]]:
    """By the row's key, the mean of every score over seeds with its interval, which needs the scores of images."""
    found: dict[str, dict[str, float]] = {row.key: {} for row in rows}
    for name, images in scores.items():
        for row in rows:
            values = [record["metrics"].get(name) for record in row.records]
            if None not in values:  # else not every seed was scored by it
                found[row.key][name] = float(np.mean(values))
        ends = {} if images is None else intervals(images)[["low", "high"]].T.to_dict()
        for key, interval in ends.items():
            found[str(key)] |= {f"{name}_{end}": value for end, value in interval.items()}
    return found


def _facts(row: Row, tiers: Tiers, profiled: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    ranking, newest = row.ranking, row.newest
    names = ("dataset", "track", "protocol", "split", "rules", "trained_on", "budget", "limit")
    facts: dict[str, Any] = {name: getattr(ranking, name) for name in names}
    facts |= {"ranking": ranking.title, "ranking_key": ranking.key}
    facts |= {"simulated": newest["simulated"], "model": row.model, "variant": row.variant}
    facts |= {"tier": tiers.of(row), "seeds": len(row.records), "n_images": newest["data"].get("n_images")}
    facts |= {name: row.measured("complexity", name) for name in _COUNTS}
    facts |= _latency(row, profiled)
    facts |= {"origin": newest.get("origin"), "checkpoint": newest.get("checkpoint", {}).get("name")}
    facts |= {"data_fingerprint": ranking.fingerprint, "date": newest["date"], "row": row.key}
    facts |= {
        "commits": _together(row, lambda record: record["git"].get("commit")),
        "training_commits": _together(row, lambda record: record["training"].get("commit")),
        "dirty": any(record["git"].get("dirty") for record in row.records),
        "train_s": _mean_time(row),
        "ispbench": _together(row, lambda record: record.get("ispbench")),
        "ids": _together(row, lambda record: record["id"]),
        "training_keys": _together(row, lambda record: record.get("training_key")),
        "weights": _together(row, lambda record: record.get("weights")),
    }
    return facts


def _mean_time(row: Row) -> float | None:
    times = [record["training"].get("wall_time_s") for record in row.records]
    return None if None in times else float(np.mean(times))


def _latency(row: Row, profiled: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A measurement of time that can be trusted, rather one apart from the evaluations; or why there is none."""
    if not row.variant and row.model in profiled:
        return {name: profiled[row.model].get(name) for name in {*_TIMES, *_SAME_DEVICE}}
    timed = [
        record
        for record in row.records
        if record["efficiency"].get("latency_ms") and record["efficiency"].get("latency_iqr_ms") is not None
    ]
    spreads = {record["id"]: spread(record["efficiency"]) for record in timed}
    steady = [record for record in timed if spreads[record["id"]] <= BUSY]
    if steady:
        measured = max(steady, key=lambda record: record["date"])["efficiency"]
        return {name: measured.get(name) for name in {*_TIMES, *_SAME_DEVICE}}
    if timed:
        least = min(spreads.values())
        note = f"the interquartile range is {least:.0%} of the median, more than {BUSY:.0%}: the machine was busy"
        return {"latency_ms": None, "latency_note": note}
    notes = [record["notes"].get("latency") for record in row.records]
    return {"latency_ms": None, "latency_note": next(filter(None, notes), "not measured")}


def _together(row: Row, value: Callable[[Any], Any]) -> str:
    """What the evaluations say, each once, with spaces between."""
    return " ".join(dict.fromkeys(str(found) for record in row.records if (found := value(record))))
