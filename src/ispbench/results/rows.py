"""What stands in a row of the leaderboard, and which rows may be ranked against each other.

A row is a setting: finished evaluations that differ in nothing but the seed. A ranking holds the rows of one protocol,
track, split, version of the rules and training budget.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ispbench.errors import UserError, suggest
from ispbench.results import store
from ispbench.results.differences import flatten
from ispbench.results.keys import key_of

Record = Mapping[str, Any]
UNTRAINED = "no training"


@dataclass(frozen=True, order=True)
class Ranking:
    """What rows must agree in to be ranked together.

    Attributes:
        protocol: Dataset with its version and track, and the target: ``photos-v1-one-camera/original-gt``.
        split: train, val or test.
        rules: Major.Minor of the measuring rules.
        trained_on: Dataset of the training, with its version and track; empty if nothing was trained here.
        budget: Of the training, such as ``600 steps of 8 crops of 64x64``; see `budget_of`.
        fingerprint: Hash of the scored pairs.
        limit: How many of the first images were scored; 0 for all.
        definition: Version of the metric.
    """

    protocol: str
    split: str
    rules: str
    trained_on: str
    budget: str
    fingerprint: str
    limit: int
    definition: str

    @property
    def dataset(self) -> str:
        """The scored dataset with the version of its splits, without the track."""
        return split_track(self.protocol.partition("/")[0])[0]

    @property
    def track(self) -> str:
        """The track that was scored; empty for datasets without tracks."""
        return split_track(self.protocol.partition("/")[0])[1]

    @property
    def key(self) -> str:
        """A hash of it."""
        return key_of(asdict(self))

    @property
    def title(self) -> str:
        """The ranking in words."""
        parts = [self.protocol]
        if self.split != "test":
            parts.append(f"{self.split} split")
        if self.limit:
            parts.append(f"first {self.limit} images alone")
        parts += [f"rules {self.rules}", self.budget]
        if self.trained_on not in ("", self.protocol.partition("/")[0]):
            parts.append(f"trained on {self.trained_on}")
        return ", ".join(parts)


@dataclass(frozen=True)
class Row:
    """A setting and its evaluations, one a seed.

    Attributes:
        key: A hash of all that they have in common.
        ranking: Where the row belongs.
        records: Joined records, see `ispbench.results.store.load`, in the order of their seeds.
        part_of: The key of the whole row where this one holds only some of its seeds.
    """

    key: str
    ranking: Ranking
    records: tuple[Record, ...]
    part_of: str = ""

    @property
    def setting(self) -> str:
        """The key of the whole row."""
        return self.part_of or self.key

    @property
    def model(self) -> str:
        """The model's name."""
        return str(self.records[0]["model"])

    @property
    def variant(self) -> str:
        """What of the model's settings is not its default."""
        return str(self.records[0].get("variant") or "")

    @property
    def newest(self) -> Record:
        """The evaluation that was made last."""
        return max(self.records, key=lambda record: (record["date"], record["id"]))

    def measured(self, section: str, name: str) -> Any:
        """A number that seeds do not change, from the newest evaluation that has it; None if there is none."""
        newest = sorted(self.records, key=lambda record: record["date"], reverse=True)
        return next((value for record in newest if (value := record[section].get(name)) is not None), None)

    @property
    def learns(self) -> bool:
        """Whether another seed would give another network: it was trained here."""
        return self.records[0].get("training_key") is not None or bool(self.records[0]["training"].get("steps"))

    @cached_property
    def name(self) -> str:
        """The model with its variant."""
        return f"{self.model} {self.variant}".strip()


def split_track(version: str) -> tuple[str, str]:
    """Dataset and track of a version such as ``photos-v1-one-camera``; the track is empty where there is none."""
    match = re.fullmatch(r"(.*?-v\d+)-(.+)", version)
    return (match[1], match[2]) if match else (version, "")


def budget_of(record: Record) -> str:
    """What a training may cost: steps, pairs a step and their size; or why there is no such number."""
    steps = record["training"].get("steps")
    if not steps:
        if record.get("origin") == "images":
            return "images from elsewhere"
        if record.get("training_key"):
            return "a training without a record"
        return "weights from elsewhere" if record.get("weights") else UNTRAINED
    data = record["config"].get("data", {})
    crop = data.get("crop")
    size = f"crops of {crop}x{crop}" if crop else "whole images"
    start = ", from given weights" if record["config"].get("weights") else ""
    return f"{steps:,} steps of {data.get('batch_size', 'unknown')} {size}{start}"


def ranking_of(record: Record, metric: str) -> Ranking:
    """The ranking of an evaluation by a metric."""
    evaluation = record["config"].get("evaluation", {})
    return Ranking(
        protocol=record["protocol"],
        split=record.get("split") or "test",
        rules=minor(record["rules"]),
        trained_on=record["training"].get("data") or "",
        budget=budget_of(record),
        fingerprint=record["data"].get("fingerprint") or "",
        limit=evaluation.get("limit") or 0,
        definition=json.dumps(evaluation.get("metrics", {}).get(metric), sort_keys=True),
    )


def minor(rules: str) -> str:
    """Major.Minor of a version of the rules."""
    return ".".join(rules.split(".")[:2])


def load_rows(results: Path, metric: str = "psnr") -> list[Row]:
    """All rows of a results folder that have a score.

    Raises:
        UserError: if no evaluation has it, naming those that there are, or for an unreadable record.
    """
    records = store.load(results)
    measured = dict.fromkeys(name for record in records for name in record["metrics"] if name != "nonfinite")
    if measured and metric not in measured:
        hint = suggest(metric, measured)
        raise UserError(f"No evaluation in {results} has {metric!r}.{hint} They have {', '.join(measured)}.")
    return rows_of(records, metric)


def rows_of(records: Iterable[Record], metric: str = "psnr") -> list[Row]:
    """Sorts finished evaluations into rows; of several of one setting and seed that with the most scores counts.

    Args:
        records: Joined, oldest first; see `ispbench.results.store.load`.
        metric: Records without this score are left out.
    """
    groups: dict[tuple[Ranking, str], dict[Any, Record]] = {}
    for record in records:
        if record["status"] == "finished" and record["metrics"].get(metric) is not None:
            group = groups.setdefault((ranking_of(record, metric), _setting(record)), {})
            earlier = group.get(record.get("seed"))
            if earlier is None or len(earlier["metrics"]) <= len(record["metrics"]):
                group[record.get("seed")] = record
    return [
        Row(
            setting,
            ranking,
            tuple(seeds[seed] for seed in sorted(seeds, key=lambda seed: -1 if seed is None else seed)),
        )
        for (ranking, setting), seeds in groups.items()
    ]


def without_ablations(rows: Sequence[Row]) -> list[Row]:
    """The rows that are no cells of an ablation.

    A cell is a model whose settings are not its default, where the same model stands in the same ranking with other
    settings as well. A variant that stands alone is no comparison, and stays.
    """
    settings: dict[tuple[Ranking, str], set[str]] = {}
    for row in rows:
        settings.setdefault((row.ranking, row.model), set()).add(row.variant)
    return [row for row in rows if not row.variant or len(settings[row.ranking, row.model]) == 1]


def _setting(record: Record) -> str:
    """A hash of what a row's evaluations agree in: all but the seed, which that of the data follows, and the scores."""
    config = flatten(record["config"]).items()
    left_out = ("seed", "data.seed")
    shared = {key: value for key, value in config if key not in left_out and not key.startswith("evaluation.metrics.")}
    shared |= {"model's name": record["model"], "variant": record.get("variant") or ""}
    shared |= {"pairs": record["data"].get("fingerprint"), "protocol": record["protocol"]}
    if not record.get("training_key"):
        shared["weights"] = record.get("weights")
    return key_of(shared)
