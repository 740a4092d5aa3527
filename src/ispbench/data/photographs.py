"""Photographs to simulate captures of: read from files, brought to size."""

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ispbench.console import warn
from ispbench.data.cache import cached
from ispbench.data.image_files import stored_bits
from ispbench.data.sealed import DamagedError, SealedArray, write_array
from ispbench.errors import UserError
from ispbench.files import give_usual_permissions, scratch_prefix, sweep

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
MIN_SIDE = 32
_SIXTEEN_BITS = "stores 16 bits; save it as sRGB with 8 bits per channel"
# Modes of Pillow that are no sRGB photograph.
_REFUSED = {
    "1": "is black and white; remove it",
    "L": "is gray; only color photographs tell a camera's colors, so remove it",
    "LA": "is gray; only color photographs tell a camera's colors, so remove it",
    "P": "has a palette of colors; save it as sRGB with 8 bits per channel",
    "CMYK": "is CMYK; convert it to sRGB",
    "LAB": "is CIELAB; convert it to sRGB",
    "YCbCr": "is YCbCr; convert it to sRGB",
    "RGBA": "has transparency; save it without an alpha channel",
    "F": "stores floating-point values; save it as sRGB with 8 bits per channel",
}


@dataclass(frozen=True)
class Photograph:
    """A photograph in sRGB.

    Attributes:
        name: Unique in its dataset.
        key: A hash of the file and of how its size was changed.
        pixels: Shape (H, W, 3), H and W even; slices of it are arrays, also where it lies in the cache.
    """

    name: str
    key: str
    pixels: NDArray[np.uint8] | SealedArray


def read_photograph(path: Path) -> NDArray[np.uint8]:
    """Reads a JPEG, PNG or TIFF file as shown, that is with its EXIF orientation.

    Embedded color profiles are ignored.

    Returns:
        Shape (H, W, 3).

    Raises:
        UserError: if the file is damaged, or no sRGB photograph of 8 bits.
    """
    try:
        if path.suffix.lower() == ".png" and stored_bits(path) == 16:
            raise UserError(f"{path} {_SIXTEEN_BITS}.")
        with Image.open(path) as image:
            if image.mode.startswith("I") or 16 in _tiff_bits(image):
                raise UserError(f"{path} {_SIXTEEN_BITS}.")
            if image.mode != "RGB":
                raise UserError(f"{path} {_REFUSED.get(image.mode, f'is {image.mode}; convert it to sRGB')}.")
            return np.array(ImageOps.exif_transpose(image))
    except UnidentifiedImageError as error:
        hint = "no JPEG, PNG or TIFF image that can be read"
        raise UserError(f"{path} is {hint}; save it as sRGB with 8 bits per channel or remove it.") from error
    except (OSError, SyntaxError, ValueError, IndexError) as error:
        raise UserError(f"{path} is not a whole image file; copy or download it again, or remove it.") from error


def shrink(photo: NDArray[np.uint8], downscale: float = 1.0, megapixels: float | None = None) -> NDArray[np.uint8]:
    """Makes a photo smaller by averaging areas, which hides compression and sharpening, and its sides even.

    Args:
        photo: Shape (H, W, 3).
        downscale: The factor by which its sides shrink at least.
        megapixels: The size that it has at most afterwards; None: any.

    Returns:
        Shape (H', W', 3).
    """
    height, width = photo.shape[:2]
    if megapixels is not None:
        downscale = max(downscale, float(np.sqrt(height * width / (megapixels * 1e6))))
    if downscale > 1:
        size = (max(1, round(width / downscale)), max(1, round(height / downscale)))
        photo = np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)
    return photo[: photo.shape[0] // 2 * 2, : photo.shape[1] // 2 * 2]


def cached_photograph(path: Path, name: str, sha256: str, configured: str | None, **size: Any) -> Photograph:
    """A photograph, decoded and shrunk once and memory-mapped from then on; made anew if the cache is damaged.

    Args:
        path: The file.
        name: For the photograph.
        sha256: Of the file.
        configured: The cache folder; None for the user's.
        **size: See `shrink`.

    Raises:
        UserError: if the file is no suitable photograph or has changed, or the cache cannot be written to.
    """
    key = hashlib.sha256(f"{sha256} {sorted(size.items())}".encode()).hexdigest()[:24]
    place = cached(f"photographs/{key}.npy", configured)
    try:
        return Photograph(name, key, SealedArray(place))
    except FileNotFoundError:
        pass
    except DamagedError:
        warn(f"{place} in the cache is damaged or of an earlier version; it is made anew.")
    _refuse_changed(path, sha256)
    _keep(place, shrink(read_photograph(path), **size))
    return Photograph(name, key, SealedArray(place))


def _refuse_changed(path: Path, sha256: str) -> None:
    """Refuses a file whose bytes changed though size and time did not, by which `hash_files` goes."""
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise UserError(
                f"{path} has changed without a change of its size or time; restore it, or `touch` it if it is right."
            )


def _keep(place: Path, photo: NDArray[np.uint8]) -> None:
    """Writes a photograph into the cache, whole or not at all."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        sweep(place.parent)
        with tempfile.TemporaryDirectory(prefix=scratch_prefix(place.name), dir=place.parent) as scratch:
            file = Path(scratch) / place.name
            write_array(file, photo)
            give_usual_permissions(file)
            file.replace(place)
    except OSError as error:
        raise UserError(
            f"The cache {place.parent} cannot be written ({error.strerror}); free some space or set ISPBENCH_CACHE to "
            "another folder."
        ) from error


def refuse_small(photograph: Photograph, side: int) -> None:
    """Refuses a photograph that is too small to cut crops of.

    Raises:
        UserError: if a side is below `side` pixels.
    """
    height, width = photograph.pixels.shape[:2]
    if min(height, width) < side:
        raise UserError(
            f"{photograph.name} is {width}x{height} after shrinking, below {side} pixels a side; remove it, or lower "
            "data.downscale, or data.crop if it is a training photograph."
        )


def _tiff_bits(image: Image.Image) -> tuple[int, ...]:
    """The bits per channel of a TIFF file, empty for other formats."""
    tags = getattr(image, "tag_v2", {})
    return tuple(np.atleast_1d(tags.get(258, ())).astype(int).tolist())
