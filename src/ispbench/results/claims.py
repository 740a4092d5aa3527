"""Claims: locks that keep two processes from the same work, and notes of where unfinished work lies.

Both are files of the output folder under the key of what is done, so that grids never collide, on one machine or on
several that share the folder.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ispbench.errors import UserError
from ispbench.files import write_atomically

_PATIENCE = 0.5  # seconds; `in_use` holds a lock for a moment to see whether anybody does
OVERWRITE = ("only-missing", "never", "always")


@contextmanager
def claim(outputs: Path, key: str, wait: bool = False) -> Iterator[bool]:
    """Holds the lock of a key; gives False if another process has it. A killed process leaves no lock behind.

    Args:
        outputs: ``paths.outputs``.
        key: Of the training or evaluation.
        wait: Whether to wait for the other process instead.

    Raises:
        UserError: if the place cannot be written to.
    """
    path = outputs / "claims" / f"{key}.lock"
    lock = FileLock(path, timeout=-1 if wait else _PATIENCE, poll_interval=_PATIENCE / 20)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        yield False
        return
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); set paths.outputs.") from error
    try:
        yield True
    finally:
        lock.release()


def in_use(outputs: Path, key: str) -> bool:
    """Whether a process is at work under a key; also where that cannot be told, as in a folder of another user."""
    path = outputs / "claims" / f"{key}.lock"
    try:
        if not path.is_file():
            return False
        with FileLock(path, timeout=0):
            return False
    except (Timeout, OSError):
        return True


def settled(record: dict[str, Any] | None, overwrite: str) -> bool:
    """Whether a record makes a further run needless.

    Args:
        record: Of the key; None if there is none.
        overwrite: ``only-missing`` asks for a finished run, ``never`` for any that is not running, ``always`` runs.

    Raises:
        UserError: for another word.
    """
    if overwrite not in OVERWRITE:
        raise UserError(f"overwrite={overwrite} is unknown; choose one of {', '.join(OVERWRITE)}.")
    if record is None or overwrite == "always":
        return False
    return record["status"] == "finished" or (overwrite == "never" and record["status"] != "running")


def remember_folder(outputs: Path, key: str, folder: Path) -> None:
    """Notes where a training keeps its checkpoints."""
    write_atomically(_note(outputs, key), json.dumps({"folder": str(folder)}) + "\n")


def folder_of(outputs: Path, key: str) -> Path | None:
    """Where a training keeps its checkpoints; None if it never began here or the folder is gone."""
    try:
        folder = Path(json.loads(_note(outputs, key).read_text(encoding="utf-8"))["folder"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return folder if folder.is_dir() else None


def _note(outputs: Path, key: str) -> Path:
    return outputs / "claims" / f"{key}.json"
