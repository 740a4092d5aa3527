"""Files written whole or not at all, and their hashes."""

import errno
import hashlib
import os
import shutil
import socket
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ispbench.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_JPEG_QUALITY = 95
_PROBE = 2**16  # bytes, more than a record has


def write_atomically(
    path: Path, content: str | bytes | memoryview, advice: str = "set paths.results", keep: Path | None = None
) -> None:
    """Writes a file by way of a temporary one beside it, which is on the disk before it takes the file's place.

    Args:
        path: Of the file; its folder is made.
        content: Text, written as UTF-8, or bytes.
        advice: How to write elsewhere, for the error.
        keep: Where the file that is replaced goes; None: it is gone.

    Raises:
        UserError: if the place cannot be written to; then everything there is as it was.
    """
    content = content.encode() if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(prefix=scratch_prefix(path.name), dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            give_usual_permissions(Path(scratch))
            if keep is not None and path.is_file():
                os.replace(path, keep)
            os.replace(scratch, path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(scratch)
            raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        needed = f", it takes {len(content):,} bytes" if full else ""
        raise UserError(f"{path} cannot be written ({error.strerror}{needed}); free some space or {advice}.") from error


def refuse_unwritable(folder: Path, advice: str = "set paths.results") -> None:
    """Refuses, before anything is computed for it, a folder that takes no further file; makes it if need be.

    Raises:
        UserError: if it does not.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=scratch_prefix("probe"), dir=folder) as file:
            file.write(bytes(_PROBE))
            file.flush()
    except OSError as error:
        raise UserError(f"{folder} cannot be written to ({error.strerror}); free some space or {advice}.") from error


def free_space(folder: Path) -> tuple[int, Path]:
    """Bytes that the disk of a folder has left, and the folder itself, or the one above it that exists already."""
    place = folder.absolute()
    while not place.is_dir():
        place = place.parent
    return shutil.disk_usage(place).free, place


def expanded(path: str | Path) -> Path:
    """A path with the home folder in place of ``~``.

    Raises:
        UserError: if there is none.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(f"{path} is in a home folder, and there is none; give the whole path.") from error


def write_image(path: Path, image: "NDArray[np.uint8]", advice: str, quality: int = _JPEG_QUALITY) -> None:
    """Writes an image, whole or not at all.

    Args:
        path: Its suffix names the format: ``.png``, ``.jpg`` or ``.jpeg``.
        image: RGB of shape (H, W, 3) or RGBA of shape (H, W, 4).
        advice: How to write elsewhere, for the error.
        quality: Of a JPEG, up to 100.

    Raises:
        UserError: for another suffix, or if the place cannot be written to.
    """
    import cv2
    import numpy as np

    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise UserError(f"{path} does not end in .png or .jpg, the formats that images are written in.")
    order = cv2.COLOR_RGBA2BGRA if image.shape[2] == 4 else cv2.COLOR_RGB2BGR
    options = [] if path.suffix.lower() == ".png" else [cv2.IMWRITE_JPEG_QUALITY, quality]
    _, coded = cv2.imencode(path.suffix.lower(), cv2.cvtColor(np.ascontiguousarray(image), order), options)
    write_atomically(path, coded.tobytes(), advice)


def hash_file(path: Path) -> str:
    """A hash of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def give_usual_permissions(path: Path) -> None:
    """Gives a file or folder that was created for its user alone the permissions that any other has when created."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)


def scratch_prefix(name: str) -> str:
    """How the name of a temporary file or folder begins which is to become `name`; `sweep` knows it by that."""
    return f".{name[:100]}~{_machine()}~{os.getpid()}~"


def sweep(folder: Path) -> None:
    """Removes temporary files and folders that killed processes of this machine have left in a folder."""
    for path in folder.glob(".*~*~*~*"):
        _, host, process, _ = path.name.rsplit("~", 3)
        if host == _machine() and process.isdecimal() and not _is_alive(int(process)):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with suppress(OSError):
                    path.unlink()


@cache
def _machine() -> str:
    """Names what the number of a process is unique in: this machine, or the container."""
    try:
        space = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        space = 0
    return f"{socket.gethostname()}.{space}"


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # somebody else's
        return True
    return True
