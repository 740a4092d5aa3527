"""Image files as arrays, with errors that name the file."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ispbench.errors import UserError


def read_mosaic(path: Path) -> NDArray[np.uint16]:
    """Reads a Bayer mosaic from a grey 8- or 16-bit PNG or TIFF, shape (H, W), in DN as stored."""
    image = _decode(path, cv2.IMREAD_UNCHANGED)
    if image.ndim != 2:
        raise UserError(f"{path} has {image.shape[2]} channels; a Bayer mosaic is a grey image. Is it an sRGB photo?")
    if image.dtype not in (np.uint8, np.uint16):
        raise UserError(f"{path} holds {image.dtype} values; a Bayer mosaic is stored with 8 or 16 bits.")
    return image.astype(np.uint16, copy=False)


def read_srgb(path: Path) -> NDArray[np.uint8]:
    """Reads an 8-bit sRGB image, shape (H, W, 3)."""
    image = _decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def _decode(path: Path, flags: int) -> NDArray:
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); restore the file.") from error
    image = cv2.imdecode(content, flags) if content.size else None
    if image is None or _truncated(path, content):
        raise UserError(f"{path} is not a whole image file; copy or download it again.")
    return image


def _truncated(path: Path, content: NDArray[np.uint8]) -> bool:
    """Whether the end marker is missing; OpenCV fills what a cut file lacks without an error."""
    tail = content[-64:].tobytes()
    if path.suffix.lower() == ".png":
        return b"IEND" not in tail
    return path.suffix.lower() in (".jpg", ".jpeg") and b"\xff\xd9" not in tail
