"""What a camera file says about its photo, as EXIF of a rendering."""

import io
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rawpy
from PIL import ExifTags, Image

from ispbench.raw.camera_file import opened

Tags = dict[int, Any]
_BASE, _IFD, _GPS = ExifTags.Base, ExifTags.IFD, ExifTags.IFD.GPSInfo
# Of the main directory, whose other tags tell how the file stores its images.
_KEPT = (_BASE.ImageDescription, _BASE.Make, _BASE.Model, _BASE.DateTime, _BASE.Artist, _BASE.Copyright)
# Of the EXIF directory: what is true of the file alone, or points into it.
_DROPPED = (
    _BASE.MakerNote,
    _BASE.ColorSpace,
    _BASE.ExifImageWidth,
    _BASE.ExifImageHeight,
    _BASE.ExifInteroperabilityOffset,
)
_SRGB = 1
_UNREADABLE = (SyntaxError, OSError, ValueError, TypeError, KeyError, IndexError, OverflowError, struct.error)


class Exif:
    """Tags by directory.

    Attributes:
        main: Of the camera and the author.
        photo: Of the exposure, the EXIF directory.
        gps: Of the place.
    """

    def __init__(self) -> None:
        self.main: Tags = {}
        self.photo: Tags = {}
        self.gps: Tags = {}

    def add(self, source: Image.Exif) -> None:
        """Adds the tags that it does not have yet."""
        _merge(self.main, {tag: source[tag] for tag in _KEPT if tag in source})
        _merge(self.photo, {tag: value for tag, value in source.get_ifd(_IFD.Exif).items() if tag not in _DROPPED})
        _merge(self.gps, source.get_ifd(_GPS))

    def of_rendering(self, software: str, height: int, width: int) -> Image.Exif:
        """The EXIF of an upright sRGB rendering of this photo.

        Args:
            software: What rendered it.
            height: Of the rendering, in pixels.
            width: Of the rendering, in pixels.
        """
        exif = Image.Exif()
        exif.update(self.main)
        exif[_BASE.Software] = software
        exif[_BASE.Orientation] = 1
        size: Tags = {_BASE.ExifImageWidth: width, _BASE.ExifImageHeight: height, _BASE.ColorSpace: _SRGB}
        exif.get_ifd(_IFD.Exif).update({**self.photo, **size})
        if self.gps:
            exif.get_ifd(_GPS).update(self.gps)
        return exif


def read_exif(path: Path) -> Exif:
    """What is known of a photo: from the file if it is built like a TIFF, from its preview, and from LibRaw."""
    exif = Exif()
    with path.open("rb") as file:
        _try(exif, lambda source: source.load_from_fp(file))
    with opened(path) as raw:
        try:
            preview = raw.extract_thumb()
        except rawpy.LibRawError:
            preview = None
        if preview is not None and preview.format == rawpy.ThumbFormat.JPEG:
            with io.BytesIO(bytes(preview.data)) as data:
                _try(exif, lambda source: source.load(Image.open(data).info.get("exif", b"")))
        _merge(exif.photo, _exposure(raw))
        if raw.other.artist:
            _merge(exif.main, {_BASE.Artist: raw.other.artist})
    return exif


def _try(exif: Exif, load: Any) -> None:
    """Adds what can be read and written again; a damaged directory is no reason to lose a photo."""
    source = Image.Exif()
    try:
        load(source)
        exif.add(source)
    except _UNREADABLE:
        return


def _merge(tags: Tags, more: Mapping[int, Any]) -> None:
    for tag, value in more.items():
        if isinstance(value, str):
            value = value.strip("\0 ")
        if tag not in tags and value not in ("", b"") and _writable(tag, value):
            tags[tag] = value


def _writable(tag: int, value: Any) -> bool:
    probe = Image.Exif()
    probe[tag] = value
    try:
        probe.tobytes()
    except (*_UNREADABLE, AttributeError):
        return False
    return True


def _exposure(raw: rawpy.RawPy) -> Tags:
    """What LibRaw knows of the exposure, where it is known at all."""
    other = raw.other
    measured = {
        _BASE.ExposureTime: other.shutter_speed,
        _BASE.FNumber: round(other.aperture, 2),
        _BASE.ISOSpeedRatings: round(other.iso_speed),
        _BASE.FocalLength: round(other.focal_length, 2),
        _BASE.LensModel: raw.lens.model,
    }
    tags: Tags = {tag: value for tag, value in measured.items() if value}
    if other.timestamp is not None and other.timestamp.year > 1970:
        tags[_BASE.DateTimeOriginal] = other.timestamp.strftime("%Y:%m:%d %H:%M:%S")
    return tags
