"""Files written whole or not at all, and their hashes."""

import hashlib
import os
import tempfile
from pathlib import Path

from ispbench.errors import UserError


def write_atomically(path: Path, text: str) -> None:
    """Writes a file by way of a temporary one beside it.

    Raises:
        UserError: if the place cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(handle, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(scratch, 0o644)
            os.replace(scratch, path)
        except BaseException:
            os.unlink(scratch)
            raise
    except OSError as error:
        raise UserError(
            f"{path} cannot be written ({error.strerror}); free some space or set paths.results."
        ) from error


def hash_file(path: Path) -> str:
    """A hash of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
