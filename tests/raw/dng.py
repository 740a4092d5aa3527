"""Writes small DNG files for tests: any CFA, levels, white balance, orientation and embedded JPEG (DNG 1.4, TIFF 6)."""

import struct
from pathlib import Path

import cv2
import numpy as np

RGGB, GRBG, GBRG, BGGR = ([0, 1, 1, 2], [1, 0, 2, 1], [1, 2, 0, 1], [2, 1, 1, 0])
XTRANS = [1, 1, 0, 1, 1, 2, 1, 1, 2, 1, 1, 0, 2, 0, 1, 0, 2, 1, 1, 1, 2, 1, 1, 0, 1, 1, 0, 1, 1, 2, 0, 2, 1, 2, 0, 1]
# CIE XYZ to camera RGB: an invented sensor with some overlap of its colors.
MATRIX = np.array([[0.8, -0.1, -0.1], [-0.4, 1.2, 0.2], [-0.1, 0.2, 0.6]])
NEUTRAL = (0.5, 1.0, 0.625)  # camera RGB of gray: gains 2, 1, 1.6

_FORMATS = {"B": (1, "B"), "s": (2, "s"), "H": (3, "H"), "I": (4, "I"), "rational": (5, "II"), "srational": (10, "ii")}
_SCALE = 10000


def write_dng(
    path: Path,
    mosaic: np.ndarray,
    cfa: list[int] = RGGB,
    black: tuple[float, ...] = (0, 0, 0, 0),
    white: int = 1023,
    neutral: tuple[float, ...] | None = NEUTRAL,
    matrix: np.ndarray | None = MATRIX,
    orientation: int = 1,
    jpeg: np.ndarray | None = None,
) -> Path:
    """Writes a DNG.

    Args:
        path: Of the file.
        mosaic: uint16, shape (H, W), or (H, W, 3) for a demosaiced one.
        cfa: 0, 1, 2 for R, G, B in reading order of the repeating cell.
        black: In DN in reading order of the 2x2 cell.
        white: In DN.
        neutral: Camera RGB of gray as shot; None to leave it out.
        matrix: CIE XYZ to camera RGB; None to leave it out.
        orientation: Of TIFF: 1 upright, 6 to be turned clockwise by a quarter.
        jpeg: The embedded sRGB photo, shape (h, w, 3).
    """
    side = int(np.sqrt(len(cfa)))
    common = [
        (271, "s", b"Acme\0"),
        (272, "s", b"Acme One\0"),
        (274, "H", [orientation]),
        (50706, "B", [1, 4, 0, 0]),
        (50707, "B", [1, 1, 0, 0]),
        (50708, "s", b"Acme One\0"),
    ]
    if matrix is not None:
        common += [(50721, "srational", matrix.ravel()), (50778, "H", [21])]
    if neutral:
        common.append((50728, "rational", neutral))
    sensor = [(50717, "I", [white])]
    if mosaic.ndim == 2:
        sensor += [(33421, "H", [side, side]), (33422, "B", cfa)]
        sensor += [(50710, "B", [0, 1, 2]), (50711, "H", [1]), (50713, "H", [2, 2]), (50714, "rational", black)]
    raw = _image(mosaic.astype("<u2").tobytes(), mosaic.shape, 16, 1, 32803 if mosaic.ndim == 2 else 34892, 0)
    if jpeg is None:
        path.write_bytes(_tiff([(raw[0] + common + sensor, raw[1])]))
    else:
        _, coded = cv2.imencode(".jpg", jpeg[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])
        preview = _image(coded.tobytes(), jpeg.shape, 8, 7, 6, 1)
        path.write_bytes(_tiff([(preview[0] + common, preview[1]), (raw[0] + sensor, raw[1])]))
    return path


def _image(data, shape, bits, compression, photometric, kind):
    samples = shape[2] if len(shape) == 3 else 1
    tags = [(254, "I", [kind]), (256, "I", [shape[1]]), (257, "I", [shape[0]]), (258, "H", [bits] * samples)]
    tags += [(259, "H", [compression]), (262, "H", [photometric]), (277, "H", [samples]), (278, "I", [shape[0]])]
    return [*tags, (279, "I", [len(data)])], data


def _tiff(pages):
    """The first page in IFD 0, the second one as its SubIFD."""
    blob = bytearray(b"II*\0" + struct.pack("<I", 0))
    sub = None
    for tags, data in reversed(pages):
        place = len(blob)
        blob += data + b"\0" * (len(data) % 2)
        tags = [*tags, (273, "I", [place])] + ([(330, "I", [sub])] if sub else [])
        sub = _append_ifd(blob, sorted(tags))
    blob[4:8] = struct.pack("<I", sub)
    return bytes(blob)


def _append_ifd(blob, tags):
    entries = b""
    for tag, kind, values in tags:
        number, letters = _FORMATS[kind]
        if kind == "s":
            payload, count = values, len(values)
        else:
            pairs = [(round(value * _SCALE), _SCALE) for value in values] if "rational" in kind else values
            payload, count = b"".join(struct.pack(f"<{letters}", *np.atleast_1d(value)) for value in pairs), len(values)
        if len(payload) > 4:
            place = len(blob)
            blob += payload + b"\0" * (len(payload) % 2)
            payload = struct.pack("<I", place)
        entries += struct.pack("<HHI", tag, number, count) + payload.ljust(4, b"\0")
    start = len(blob)
    blob += struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    return start
