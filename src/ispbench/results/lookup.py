"""The runs that left records: which there are, in what state, and the one that a part of an id names."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ispbench.errors import UserError, suggest
from ispbench.results import store
from ispbench.results.claims import in_use

STATES = ("running", "killed", "finished", "interrupted", "failed")


@dataclass(frozen=True)
class Run:
    """A run.

    Attributes:
        record: What it left.
        state: One of `STATES`, or ``running?`` for a record that names no lock.
    """

    record: Mapping[str, Any]
    state: str


def list_runs(results: Path, outputs: Path, model: str = "*", status: str | None = None) -> list[Run]:
    """The runs of a results folder, newest first.

    Args:
        results: The results folder.
        outputs: Folder of the runs, where those in progress hold their locks.
        model: Only runs of models whose name matches this pattern.
        status: Only runs of this state.

    Raises:
        UserError: if there is no such folder.
    """
    if not results.is_dir():
        raise UserError(f"There is no folder {results}; run a training first, or give results=DIR.")
    runs = [Run(record, state(record, outputs)) for record in reversed(store.load(results))]
    return [
        run
        for run in runs
        if fnmatch(run.record["model"], model) and (status is None or status == run.state.rstrip("?"))
    ]


def find_runs(results: Path, outputs: Path, parts: Iterable[str]) -> list[Run]:
    """The runs that parts of their ids name.

    Raises:
        UserError: if there is none for a part, or more than one.
    """
    records = store.load(results)
    return [Run(record, state(record, outputs)) for record in (find(records, part) for part in parts)]


def state(record: Mapping[str, Any], outputs: Path) -> str:
    """The status of a run; ``killed`` where a record says ``running`` but no process does.

    Args:
        record: Of the run.
        outputs: Folder of the runs, where those in progress hold their locks.

    Returns:
        One of `STATES`, or ``running?`` for a record that names no lock.
    """
    if record["status"] != "running":
        return record["status"]
    key = record.get("key")
    if not key:
        return "running?"
    return "running" if in_use(outputs, key) else "killed"


def find(records: Iterable[Mapping[str, Any]], part: str) -> Mapping[str, Any]:
    """The one record whose id is, or holds, `part`.

    Raises:
        UserError: if there is none or more than one.
    """
    by_id = {record["id"]: record for record in records}
    matches = [part] if part in by_id else [name for name in by_id if part in name]
    if len(matches) == 1:
        return by_id[matches[0]]
    if matches:
        shown = ", ".join(matches[-5:])
        raise UserError(f"{part!r} is a part of {len(matches)} ids; give more of one: {shown}.")
    hint = suggest(part, [*by_id, *(name.rpartition("-")[2] for name in by_id)])
    raise UserError(f"No run has {part!r} in its id.{hint} List them: python -m ispbench runs")


def recorded_psnr(results: Path, protocol: str) -> dict[str, float]:
    """The PSNR of each model's newest tested run under a protocol, by the model's name.

    Raises:
        UserError: if there is none, naming the protocols there are.
    """
    records = store.load(results)
    found = {
        record["model"]: record["metrics"]["psnr"]
        for record in records
        if record["protocol"] == protocol and record["metrics"].get("psnr") is not None
    }
    if not found:
        known = sorted({record["protocol"] for record in records})
        raise UserError(f"{results} holds no scores under {protocol!r}; it has {', '.join(known) or 'none at all'}.")
    return found
