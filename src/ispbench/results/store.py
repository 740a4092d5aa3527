"""The records of a results folder: ``trainings/`` and ``evaluations/``, one file a key.

A record is found by its file's name, which ends with its key, so that the size of a grid does not matter. Any number of
processes may read and write at the same time: a file is written whole, and one that vanishes was replaced.
"""

import json
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from ispbench.console import warn
from ispbench.errors import UserError
from ispbench.files import write_atomically
from ispbench.results.reading import read
from ispbench.results.records import EvaluationRecord, Record

_FOLDERS = {"training": "trainings", "evaluation": "evaluations"}
_SECTIONS = ("config", "data", "notes", "git", "metrics", "complexity", "efficiency", "dynamic", "training")
_EMPTY: dict[str, Any] = {"protocol": "", "rules": "", "simulated": False, "split": ""} | {
    name: {} for name in _SECTIONS
}
_MOMENT = 0.5  # seconds
_SCHEMA_1 = "runs"  # where version 0.1 kept its records: one for training and test together


def save(results: Path, record: Record, scores: str | None = None) -> Path:
    """Writes a record in place of earlier ones of the same key, whatever they are called.

    Args:
        results: The results folder.
        record: The record.
        scores: The table of an evaluation's single images, as CSV.

    Raises:
        UserError: if the folder cannot be written to; a finished record then is where its sentence says.
    """
    path = path_of(results, record)
    try:
        _write(path, record, scores)
    except UserError as error:
        if record.status != "finished":
            raise
        raise UserError(f"{error} {_rescue(path.name, record, scores)}") from error
    for other in path.parent.glob(f"*-{record.key}.json"):
        if other != path:
            other.unlink(missing_ok=True)
            other.with_suffix(".scores.csv").unlink(missing_ok=True)
    return path


def _write(path: Path, record: Record, scores: str | None) -> None:
    if scores is not None:
        write_atomically(path.with_suffix(".scores.csv"), scores)
    write_atomically(path, record.content())


def _rescue(name: str, record: Record, scores: str | None) -> str:
    """Keeps a record where temporary files are; says so, or what it measured where that is impossible, too."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="ispbench-record-"))
        _write(folder / name, record, scores)
    except (UserError, OSError):
        return f"What it would have held: {getattr(record, 'metrics', record.status)}."
    return f"The record is kept in {folder}."


def path_of(results: Path, record: Record) -> Path:
    """The file of a record."""
    return results / _FOLDERS[record.kind] / f"{record.id}.json"


def evaluation_of(record: dict[str, Any]) -> EvaluationRecord:
    """An evaluation's record as it was saved, from how it is read back."""
    known = {item.name for item in fields(EvaluationRecord)}
    return EvaluationRecord(**{key: value for key, value in record.items() if key in known})


def as_dict(record: Record) -> dict[str, Any]:
    """A record as it is read back."""
    return dict(json.loads(record.content()))


def find(results: Path, kind: str, key: str) -> dict[str, Any] | None:
    """The record of a key, ``kind`` being training or evaluation; None if there is none that can be read.

    One that cannot be read is named; the run that asks for it will replace it.
    """
    faults: list[str] = []
    found = list(_read_all(results / _FOLDERS[kind], faults, kind, f"*-{key}.json"))
    for fault in faults:
        warn(f"{fault} It counts as none.")
    return max(found, key=lambda record: record["date"], default=None)


def load(results: Path) -> list[dict[str, Any]]:
    """All evaluations, each joined with its training, and trainings without an evaluation; oldest first.

    Each is the evaluation's record, with the training's section ``training``, and with the training's configuration
    beside its own. Records of schema 1 have this form already. What is no sound record is left out and named in a
    warning.
    """
    rows, faults = survey(results)
    for fault in faults:
        warn(f"{fault} It is left out.")
    return rows


def survey(results: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """What `load` gives, and a sentence about each file that is no sound record."""
    faults: list[str] = []

    def unique(kind: str) -> dict[str, dict[str, Any]]:
        """The newest record of each key."""
        records = sorted(_read_all(results / _FOLDERS[kind], faults, kind), key=lambda record: record["date"])
        by_key = {record["key"]: record for record in records}
        if len(by_key) < len(records):
            faults.extend(_double(results / _FOLDERS[kind], records))
        return by_key

    trainings = unique("training")
    rows = [_EMPTY | record for record in _read_all(results / _SCHEMA_1, faults, None)]
    evaluated = set()
    for record in unique("evaluation").values():
        training = trainings.get(record.get("training_key") or "", {})
        evaluated.add(record.get("training_key"))
        rows.append(_join(record, training))
    rows += [_join({}, training) for key, training in trainings.items() if key not in evaluated]
    return sorted(rows, key=lambda row: (row["date"], row["id"])), faults


def _join(evaluation: dict[str, Any], training: dict[str, Any]) -> dict[str, Any]:
    return {
        **_EMPTY,
        **training,
        **evaluation,
        "config": {**training.get("config", {}), **_nested(evaluation)},
        "config_hash": evaluation.get("key") or training["key"],
        "data": {**training.get("data", {}), **evaluation.get("data", {})},
        "notes": {**training.get("notes", {}), **evaluation.get("notes", {})},
        "training": training.get("training", {}) | _origin(training),
        "kind": "measured",
    }


def _origin(training: dict[str, Any]) -> dict[str, Any]:
    """Of what code and of which data a training was."""
    data = training.get("config", {}).get("data", {})
    return {"commit": training.get("git", {}).get("commit"), "data": data.get("version")}


def _nested(evaluation: dict[str, Any]) -> dict[str, Any]:
    """The configuration of the evaluation alone, under its name: the weights' source is no setting."""
    config = {key: value for key, value in evaluation.get("config", {}).items() if key != "source"}
    return {"evaluation": config} if config else {}


def _double(folder: Path, records: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Names keys that have several records; a moment later, so that a record just being replaced is none of them."""
    names: dict[str, set[str]] = {}
    for record in records:
        names.setdefault(record["key"], set()).add(f"{record['id']}.json")
    time.sleep(_MOMENT)
    for key, files in names.items():
        if len(there := sorted(name for name in files if (folder / name).exists())) > 1:
            yield f"{' and '.join(there)} in {folder} are records of one key, {key}; keep one of them."


def _read_all(folder: Path, faults: list[str], kind: str | None, pattern: str = "*.json") -> Iterator[dict[str, Any]]:
    """The records of a folder; adds a sentence about each file that is none. A vanished file was replaced: look again.

    Args:
        folder: To look in.
        faults: Grows.
        kind: training or evaluation; None for records of schema 1.
        pattern: Of the names.
    """
    seen: set[Path] = set()
    while new := sorted(set(folder.glob(pattern)) - seen):
        for path in new:
            seen.add(path)
            try:
                yield read(path, kind)
            except FileNotFoundError:
                seen.discard(path)
            except UserError as error:
                faults.append(str(error))
