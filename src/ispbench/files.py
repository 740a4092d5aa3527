"""Files written whole or not at all, and their hashes."""

import errno
import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ispbench.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_JPEG_QUALITY = 95


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
        handle, scratch = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(scratch, 0o644)
            if keep is not None and path.is_file():
                os.replace(path, keep)
            os.replace(scratch, path)
        except BaseException:
            os.unlink(scratch)
            raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        needed = f", it takes {len(content):,} bytes" if full else ""
        raise UserError(f"{path} cannot be written ({error.strerror}{needed}); free some space or {advice}.") from error


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
