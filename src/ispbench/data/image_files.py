"""Image files as arrays, with errors that name the file."""

import io
import math
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ispbench.errors import UserError

HEADERLESS = (".raw", ".bin")
RAW_SUFFIXES = (".png", ".tif", ".tiff", ".npy", *HEADERLESS)
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_LONGEST_HEADER = 2**17  # bytes
TARGET_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy")


def read_mosaic(path: Path, size: Sequence[int] | None = None) -> NDArray[np.uint16]:
    """Reads a Bayer mosaic in DN as stored. 8 bits in a file mean that the values are small, not another scale.

    Args:
        path: A gray 8- or 16-bit PNG or TIFF, an array of these types in ``.npy``, or little-endian uint16 without a
            header in ``.raw`` or ``.bin``.
        size: Height and width, needed for a file without a header.

    Returns:
        Shape (H, W).

    Raises:
        UserError: if the file is anything else.
    """
    suffix = path.suffix.lower()
    content = read_bytes(path)
    if suffix in HEADERLESS:
        image = _headerless(path, content, size)
    else:
        image = _array(path, content) if suffix == ".npy" else _decode(path, content, cv2.IMREAD_UNCHANGED)
    if image.ndim != 2:
        channels = image.shape[2] if image.ndim == 3 else image.ndim
        raise UserError(f"{path} has {channels} channels; a Bayer mosaic is a gray image. Is it an sRGB photo?")
    if image.dtype not in (np.uint8, np.uint16):
        raise UserError(f"{path} holds {image.dtype} values; a Bayer mosaic is stored with 8 or 16 bits.")
    _refuse_empty(path, image)
    return image.astype(np.uint16, copy=False)


def read_srgb(path: Path) -> NDArray[np.uint8]:
    """Reads an sRGB image, shape (H, W, 3): PNG, JPEG, TIFF, or uint8 in ``.npy``."""
    content = read_bytes(path)
    if path.suffix.lower() != ".npy":
        flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
        return np.asarray(_decode(path, content, flags), np.uint8)
    image = _array(path, content)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise UserError(f"{path} holds {image.dtype} of shape {image.shape}; a target is uint8 of shape (H, W, 3).")
    _refuse_empty(path, image)
    return image


def read_bytes(path: Path) -> NDArray[np.uint8]:
    """The content of a file.

    Raises:
        UserError: if it cannot be read, or is something else, such as a pipe, of which reading might never end.
    """
    try:
        if path.exists() and not path.is_file():
            raise UserError(f"{inspect_file(path, str(path))[1]}.")
        return np.fromfile(path, np.uint8)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); restore the file.") from error


def show_path(path: str | Path) -> str:
    r"""A path as text that can be printed and stored; bytes that are not UTF-8 become ``\\xHH``."""
    return os.fsencode(path).decode(errors="backslashreplace")


def inspect_file(path: Path, shown: str) -> tuple[tuple[int, int], str]:
    """Whether a path is a file to read.

    Args:
        path: What a folder lists.
        shown: How to name it.

    Returns:
        Its size and modification time (ns), -1 if it is not there; and what is wrong with it and how to mend that, as
        it stands in a sentence, empty if nothing is.
    """
    try:
        status = path.stat()
    except OSError as error:
        if path.is_symlink():
            return (-1, -1), f"{shown} is a link to a file that is not there; restore that or remove the link"
        return (-1, -1), f"{shown} cannot be read ({error.strerror}); restore the file"
    fault = ""
    if not stat.S_ISREG(status.st_mode):
        fault = f"{shown} is not a file with content; remove it or put the image in its place"
    elif show_path(path.name) != path.name:
        fault = f"{shown} has a name that is not UTF-8; rename it"
    return (status.st_size, status.st_mtime_ns), fault


def stored_bits(path: Path) -> int:
    """The bits of a value in a file, 8 or 16. They say nothing about the sensor's own bit depth."""
    if path.suffix.lower() == ".png":
        with path.open("rb") as file:
            return file.read(25)[-1]
    return 16


def _headerless(path: Path, content: NDArray[np.uint8], size: Sequence[int] | None) -> NDArray:
    if size is None:
        raise UserError(f"{path} has no header that tells its size; set data.size=[HEIGHT,WIDTH].")
    height, width = size
    if content.size != 2 * height * width:
        raise UserError(
            f"{path} has {content.size} bytes, but {width}x{height} values of 16 bits are {2 * height * width}; "
            "copy or download it again, or set data.size=[HEIGHT,WIDTH]."
        )
    return content.view("<u2").reshape(height, width)


def _refuse_empty(path: Path, image: NDArray) -> None:
    if not image.size:
        size = "x".join(map(str, image.shape[1::-1]))
        raise UserError(f"{path} is an image of {size} pixels; copy or download it again, or remove it.")


def _array(path: Path, content: NDArray[np.uint8]) -> NDArray:
    """The array of a ``.npy`` file, in the memory of its content, so that a false header allocates nothing."""
    file = io.BytesIO(content[:_LONGEST_HEADER].tobytes())
    try:
        shape, transposed, dtype = _HEADERS[np.lib.format.read_magic(file)](file)
        if dtype.hasobject or min(shape, default=0) < 0:
            raise ValueError(f"{dtype} of shape {shape}")
        count = math.prod(shape)
        values = np.frombuffer(content, dtype, count, file.tell()) if count else np.empty(0, dtype)
        return values.reshape(shape, order="F" if transposed else "C")
    except Exception as error:  # NumPy names no end of kinds for what is wrong with a header
        raise UserError(f"{path} is not a whole .npy file; copy or download it again.") from error


def _decode(path: Path, content: NDArray[np.uint8], flags: int) -> NDArray:
    try:
        image = cv2.imdecode(content, flags) if content.size else None
    except cv2.error:
        image = None
    if image is None or _truncated(path, content):
        raise UserError(f"{path} is not a whole image file; copy or download it again.")
    return image


def _truncated(path: Path, content: NDArray[np.uint8]) -> bool:
    """Whether the end marker is missing. OpenCV fills in what a truncated file lacks without an error."""
    tail = content[-64:].tobytes()
    if path.suffix.lower() == ".png":
        return b"IEND" not in tail
    return path.suffix.lower() in (".jpg", ".jpeg") and b"\xff\xd9" not in tail
