"""Whether a record can be true: what can be verified of a submission without evaluating it again."""

import math
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ispbench.errors import UserError
from ispbench.files import hash_file
from ispbench.metrics.table import TABLE
from ispbench.results import store
from ispbench.results.image_scores import read_scores, scores_path
from ispbench.results.keys import key_of
from ispbench.results.reading import parse
from ispbench.results.records import RULES
from ispbench.results.rows import minor
from ispbench.results.schema import breaches

_CLOSE = 1e-5  # relative; tables of scores hold float32

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """What was found.

    Attributes:
        level: ``wrong``, or ``open`` for what could not be verified here.
        text: One sentence.
    """

    level: str
    text: str


def check_record(path: Path, weights: Path | None = None, others: Sequence[Record] | None = None) -> list[Finding]:
    """Checks a record in its results folder.

    Args:
        path: Its file, in ``RESULTS/evaluations/`` or ``RESULTS/trainings/``.
        weights: The scored weights, or a folder that holds them.
        others: The rows of the folder, see `ispbench.results.store.survey`; None: they are read.

    Raises:
        UserError: if it is not readable.
    """
    record = parse(path)
    if not isinstance(record, dict):
        raise UserError(f"{path} is not a record.")
    if found := [Finding("wrong", f"schema: {text}") for text in breaches(record)]:
        return found  # nothing else can be relied on
    found = [*_identity(path, record), *_commit(record)]
    if record["kind"] == "evaluation":
        results = path.parent.parent
        others = store.survey(results)[0] if others is None else others
        found += [*_rules(record), *_scores(results, record), *_data(record, others)]
        found += _weights(results, record, weights)
    return found


def find_record(results: Path, name: str) -> Path:
    """The file of a record: its path or that of its scores, or a part of its id.

    Raises:
        UserError: if there is none, or more than one.
    """
    if name.endswith((".json", ".scores.csv")):
        return Path(name.removesuffix(".scores.csv").removesuffix(".json") + ".json")
    files = {
        path.stem: path for kind in ("evaluations", "trainings") for path in sorted((results / kind).glob("*.json"))
    }
    found = [path for stem, path in files.items() if stem == name or name in stem]
    if len(found) != 1:
        few = "no record" if not found else f"{len(found)} records"
        raise UserError(f"{few} in {results} has {name!r} in its id; give the file, or a part that one id alone has.")
    return found[0]


def _identity(path: Path, record: Record) -> Iterator[Finding]:
    if record["status"] != "finished":
        yield Finding("wrong", f"status: it is {record['status']}, and only finished work counts")
    if key_of(record["config"]) != record["key"]:
        yield Finding("wrong", f"key: config gives {key_of(record['config'])}, the record says {record['key']}")
    if not record["id"].endswith(record["key"]) or path.stem != record["id"]:
        yield Finding("wrong", f"id: {record['id']} is not the name of the file with the key at its end")


def _commit(record: Record) -> Iterator[Finding]:
    commit = record["git"].get("commit")
    if commit is None:
        yield Finding("wrong", "commit: there is none; run from a checkout, so that others can run the same code")
    elif record["git"].get("dirty") is not False:
        yield Finding("wrong", "commit: the checkout had uncommitted changes; commit them and run again")
    elif not commit_is_here(commit):
        yield Finding("open", f"commit: {commit[:12]} is not in this checkout; fetch it to reproduce the record")


def commit_is_here(commit: str) -> bool:
    """Whether the checkout that runs has a commit."""
    command = ["git", "-C", str(Path(__file__).parent), "cat-file", "-e", f"{commit}^{{commit}}"]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


def _rules(record: Record) -> Iterator[Finding]:
    config = record["config"]
    if minor(record["rules"]) != minor(RULES):
        yield Finding("wrong", f"rules: measured by {record['rules']}, and this version is {RULES}; evaluate again")
    for name in ("rules", "split"):
        if config[name] != record[name]:
            yield Finding("wrong", f"{name}: the record says {record[name]}, its config {config[name]}")
    for name, metric in config["metrics"].items():
        if name in TABLE and metric.get("version") != TABLE[name].version:
            version = TABLE[name].version
            yield Finding(
                "wrong", f"rules: {name} is of version {metric.get('version')}, and this version is {version}"
            )


def _scores(results: Path, record: Record) -> Iterator[Finding]:
    table = read_scores(results, record)
    if table is None:
        yield Finding("wrong", f"scores: {scores_path(results, record).name} is missing")
        return
    count = record["data"]["n_images"]
    if len(table) != count or table["image"].nunique() != count:
        yield Finding(
            "wrong",
            f"images: the record says {count}, the table holds {table['image'].nunique()} in {len(table)} lines",
        )
    if record["config"].get("limit"):
        yield Finding(
            "open", f"images: only the first {count} were scored (eval.limit); it ranks apart from whole splits"
        )
    yield from _means("metrics", record["metrics"], table, record)
    for column, groups in record["by"].items():
        if column not in table:
            yield Finding("wrong", f"by.{column}: the table of scores has no such column")
            continue
        parts = {str(value): rows for value, rows in table.groupby(column, sort=False)}
        if set(parts) != set(groups):
            yield Finding("wrong", f"by.{column}: the record and the table of scores name different values")
            continue
        for value, means in groups.items():
            if means["n_images"] != len(parts[value]):
                yield Finding(
                    "wrong", f"by.{column}.{value}: {means['n_images']} images, the table holds {len(parts[value])}"
                )
            yield from _means(f"by.{column}.{value}", means, parts[value], record)


def _means(place: str, means: Mapping[str, Any], table: pd.DataFrame, record: Record) -> Iterator[Finding]:
    for name in record["config"]["metrics"]:
        stated = means.get(name)
        if name not in table:
            if stated is not None:
                yield Finding("wrong", f"{place}.{name}: {stated:.6g}, but the table has no scores of single images")
            continue
        mean = float(table[name].astype(float).mean(skipna=False))
        if stated is None:
            if not math.isnan(mean):
                yield Finding(
                    "wrong", f"{place}.{name}: the record has no mean, the scores of single images have {mean:.6g}"
                )
        elif math.isnan(mean) or not math.isclose(stated, mean, rel_tol=_CLOSE, abs_tol=_CLOSE):
            yield Finding(
                "wrong", f"{place}.{name}: the record says {stated:.6g}, the scores of single images give {mean:.6g}"
            )
    unknown = set(means) - set(record["config"]["metrics"]) - {"nonfinite", "n_images"}
    if unknown:
        yield Finding("wrong", f"{place}: {', '.join(sorted(unknown))} is none of the metrics that config names")


def _data(record: Record, others: Sequence[Record]) -> Iterator[Finding]:
    fingerprint, pairs = record["data"]["fingerprint"], record["config"]["data"]["pairs"]
    if fingerprint != pairs:
        yield Finding("wrong", f"data: the fingerprint is {fingerprint}, but config is of the pairs {pairs}")
    fingerprints = [
        other["data"]["fingerprint"]
        for other in others
        if (other["protocol"], other["split"]) == (record["protocol"], record["split"])
        and other["id"] != record["id"]
        and other["status"] == "finished"
    ]
    if not fingerprints:
        yield Finding(
            "open", f"data: no other record of {record['protocol']}, {record['split']}, to compare fingerprints with"
        )
    elif fingerprint not in fingerprints:
        yield Finding(
            "wrong",
            f"data: the fingerprint is {fingerprint}, other records of {record['protocol']} have {fingerprints[-1]}: "
            "other pairs under the same name; compare the copies, or give yours another data.version",
        )


def _weights(results: Path, record: Record, weights: Path | None) -> Iterator[Finding]:
    stated, key = record["weights"], record["training_key"]
    if record["origin"] == "training":
        training = store.find(results, "training", key) if key else None
        if training is None:
            yield Finding("wrong", f"training: there is no record trainings/*-{key}.json")
        else:
            yield from (Finding(item.level, f"training: {item.text}") for item in _training(results, training))
            name = record["checkpoint"].get("name")
            hashes: Mapping[str, str] = training["training"].get("checkpoints", {})
            if stated is None or hashes.get(name) != stated:
                yield Finding("wrong", f"weights: {stated} is not the hash of {name} in the training's record")
    if weights is not None:
        files = sorted(path for path in weights.rglob("*") if path.is_file()) if weights.is_dir() else [weights]
        if stated not in map(hash_file, files):
            yield Finding("wrong", f"weights: the hash of {weights} is not {stated}, that of the record")
    elif stated is not None:
        yield Finding("open", "weights: not at hand; give weights=FILE to compare their hash")


def _training(results: Path, training: Record) -> Sequence[Finding]:
    if found := [Finding("wrong", f"schema: {text}") for text in breaches(training)]:
        return found
    path = results / "trainings" / f"{training['id']}.json"
    return [*_identity(path, training), *_commit(training)]
