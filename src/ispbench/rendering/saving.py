"""Renderings as files: PNG, TIFF or JPEG, with a profile that says sRGB, and with EXIF."""

import io
import struct
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from ispbench.files import write_atomically

_ADVICE = "set out=DIR"
_JPEG_QUALITY = 95
_ASCII, _SHORT, _LONG = 2, 3, 4  # data types of TIFF
_STRIP = 64  # rows of a TIFF that are compressed together


@cache
def srgb_profile() -> bytes:
    """An ICC profile of sRGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def save(path: Path, image: NDArray[Any], exif: Image.Exif) -> None:
    """Saves a rendering, whole or not at all.

    Args:
        path: Its suffix names the format: ``.png``, ``.tiff`` or ``.jpg``.
        image: sRGB, shape (H, W, 3), uint8, or uint16 but for JPEG.
        exif: Of the rendering.

    Raises:
        UserError: if the place cannot be written to.
    """
    coders = {".png": _png, ".tiff": _tiff, ".jpg": _jpeg}
    write_atomically(path, coders[path.suffix](image, exif), _ADVICE)


def _png(image: NDArray[Any], exif: Image.Exif) -> bytes:
    metadata = {
        cv2.IMAGE_METADATA_ICCP: srgb_profile(),
        cv2.IMAGE_METADATA_EXIF: exif.tobytes().removeprefix(b"Exif\0\0"),
    }
    values = [np.frombuffer(value, np.uint8) for value in metadata.values()]
    _, coded = cv2.imencodeWithMetadata(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), list(metadata), values)
    return coded.tobytes()


def _tiff(image: NDArray[Any], exif: Image.Exif) -> bytes:
    """The image and its main directory, then the directories that the main one points to, behind them."""
    inner = {int(tag): exif.get_ifd(tag) for tag in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo) if exif.get_ifd(tag)}
    texts = [(int(tag), _ASCII, 0, value, True) for tag, value in exif.items() if isinstance(value, str)]
    coded = io.BytesIO()
    tifffile.imwrite(
        coded,
        image,
        photometric="rgb",
        compression="zlib",
        rowsperstrip=_STRIP,
        metadata=None,
        software=False,
        byteorder="<",
        iccprofile=srgb_profile(),
        extratags=[
            *texts,
            (int(ExifTags.Base.Orientation), _SHORT, 1, exif[ExifTags.Base.Orientation], True),
            *(
                (tag + 1, _LONG, 1, 0, True) for tag in inner
            ),  # tifffile does not write these; the next number stands in
        ],
    )
    coded.seek(0)
    with tifffile.TiffFile(coded) as file:
        pointers = file.pages.first.tags
    for tag, values in inner.items():
        directory = ImageFileDirectory_v2(prefix=b"II")
        directory.update(values)
        place = coded.seek(0, io.SEEK_END)
        coded.write(directory.tobytes(place))
        coded.seek(pointers[tag + 1].offset)
        coded.write(struct.pack("<HHII", tag, _LONG, 1, place))
    return coded.getvalue()


def _jpeg(image: NDArray[Any], exif: Image.Exif) -> bytes:
    coded = io.BytesIO()
    options = {"quality": _JPEG_QUALITY, "subsampling": 0, "icc_profile": srgb_profile(), "exif": exif.tobytes()}
    Image.fromarray(image).save(coded, "JPEG", **options)
    return coded.getvalue()
