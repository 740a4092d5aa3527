"""The records of a results folder: ``trainings/`` and ``evaluations/``, one file a key.

A record is found by its file's name, which ends with its key, so that the size of a grid does not matter.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ispbench.errors import UserError
from ispbench.files import write_atomically
from ispbench.results.records import SCHEMA, EvaluationRecord, Record

_FOLDERS = {"training": "trainings", "evaluation": "evaluations"}
_SCHEMA_1 = "runs"  # where version 0.1 kept its records: one for training and test together


def save(results: Path, record: Record, scores: str | None = None) -> Path:
    """Writes a record in place of an earlier one of the same key.

    Args:
        results: The results folder.
        record: The record.
        scores: The table of an evaluation's single images, as CSV.

    Raises:
        UserError: if the folder cannot be written to.
    """
    path = path_of(results, record)
    if scores is not None:
        write_atomically(path.with_suffix(".scores.csv"), scores)
    write_atomically(path, record.content())
    return path


def path_of(results: Path, record: Record) -> Path:
    """The file of a record."""
    return results / _FOLDERS[record.kind] / f"{record.id}.json"


def evaluation_of(record: dict[str, Any]) -> EvaluationRecord:
    """An evaluation's record as it was saved, from how it is read back."""
    return EvaluationRecord(**{key: value for key, value in record.items() if key not in ("id", "kind")})


def as_dict(record: Record) -> dict[str, Any]:
    """A record as it is read back."""
    return dict(json.loads(record.content()))


def find(results: Path, kind: str, key: str) -> dict[str, Any] | None:
    """The record of a key, ``kind`` being training or evaluation; None if there is none."""
    path = next((results / _FOLDERS[kind]).glob(f"*-{key}.json"), None)
    return None if path is None else read(path)


def read(path: Path) -> dict[str, Any]:
    """A record.

    Raises:
        UserError: for a file that is none.
    """
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not a readable record ({error}); delete or restore it.") from error
    if not isinstance(record, dict) or record.get("schema") not in (1, SCHEMA):
        raise UserError(f"{path} is not a record of schema 1 or {SCHEMA}; move it out of {path.parent}.")
    return record


def load(results: Path) -> list[dict[str, Any]]:
    """All evaluations, each joined with its training, and trainings without an evaluation; oldest first.

    Each is the evaluation's record, with the training's section ``training``, and with the training's configuration
    beside its own. Records of schema 1 have this form already.

    Raises:
        UserError: for a file that is no record.
    """
    trainings = {record["key"]: record for record in _read_all(results / "trainings")}
    rows = list(_read_all(results / _SCHEMA_1))
    evaluated = set()
    for record in _read_all(results / "evaluations"):
        training = trainings.get(record["training_key"], {})
        evaluated.add(record["training_key"])
        rows.append(_join(record, training))
    rows += [_join({}, training) for key, training in trainings.items() if key not in evaluated]
    return sorted(rows, key=lambda row: (row["date"], row["id"]))


def _join(evaluation: dict[str, Any], training: dict[str, Any]) -> dict[str, Any]:
    empty: dict[str, Any] = {"protocol": "", "rules": "", "simulated": False, "split": ""}
    empty |= {"metrics": {}, "complexity": {}, "efficiency": {}, "dynamic": {}, "training": {}, "notes": {}}
    return {
        **empty,
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


def _read_all(folder: Path) -> Iterator[dict[str, Any]]:
    return map(read, sorted(folder.glob("*.json")))
