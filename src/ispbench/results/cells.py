"""Cells: what makes a run the same run again, so that grids skip what is done, resume what broke off and never collide.

A cell is a configuration with the data it meets. Its finished runs are found among the records; what is known of an
unfinished one stands in ``<outputs>/cells/<key>.json``, beside the lock that one process holds while it works on it.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ispbench.errors import UserError
from ispbench.files import write_atomically
from ispbench.results.record import RULES, hash_config, load_records

OVERWRITE = ("only-missing", "never", "always")


def key(config_hash: str, fingerprint: str) -> str:
    """Names the cell of a configuration and its data."""
    return hash_config({"config": config_hash, "data": fingerprint, "rules": RULES})


def in_use(outputs: Path, key: str) -> bool:
    """Whether a process is at work on a cell."""
    lock = outputs / "cells" / f"{key}.lock"
    if not lock.is_file():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True


class Cell:
    """One cell on this machine.

    Args:
        outputs: ``paths.outputs``.
        results: Folder of the records.
        key: Of the cell.
    """

    def __init__(self, outputs: Path, results: Path, key: str) -> None:
        self.key = key
        self.results = results
        self._lock = outputs / "cells" / f"{key}.lock"
        self._state = outputs / "cells" / f"{key}.json"

    @contextmanager
    def claim(self) -> Iterator[bool]:
        """Holds the cell's lock; gives False if another process has it. A killed process leaves no lock behind."""
        try:
            self._lock.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._lock, timeout=0)
            lock.acquire()
        except Timeout:
            yield False
            return
        except OSError as error:
            raise UserError(f"{self._lock} cannot be written ({error.strerror}); set paths.outputs.") from error
        try:
            yield True
        finally:
            lock.release()

    def done(self, overwrite: str) -> dict[str, Any] | None:
        """The newest record for which the cell needs no further run.

        Args:
            overwrite: ``only-missing`` looks for a finished run, ``never`` for any run, ``always`` for none.

        Raises:
            UserError: for another word.
        """
        if overwrite not in OVERWRITE:
            raise UserError(f"overwrite={overwrite} is unknown; choose one of {', '.join(OVERWRITE)}.")
        if overwrite == "always":
            return None
        return next((record for record in reversed(self.records()) if self._settled(record, overwrite)), None)

    def records(self) -> list[dict[str, Any]]:
        """The cell's records, oldest first."""
        return [record for record in load_records(self.results) if record.get("cell") == self.key]

    def unfinished(self) -> tuple[str, Path] | None:
        """Record id and folder of a run that broke off."""
        try:
            state = json.loads(self._state.read_text())
            return state["id"], Path(state["folder"])
        except (OSError, ValueError, KeyError):
            return None

    def begin(self, id: str, folder: Path) -> None:
        """Remembers where the cell's run keeps its checkpoints."""
        write_atomically(self._state, json.dumps({"id": id, "folder": str(folder)}) + "\n")

    def finish(self, id: str) -> None:
        """Forgets where the run was, and replaces the cell's earlier records by the finished one."""
        self._state.unlink(missing_ok=True)
        for record in self.records():
            if record["id"] != id:
                for suffix in (".json", ".scores.csv"):
                    (self.results / f"{record['id']}{suffix}").unlink(missing_ok=True)

    def _settled(self, record: dict[str, Any], overwrite: str) -> bool:
        return record["status"] == "finished" or (overwrite == "never" and record["status"] != "running")
