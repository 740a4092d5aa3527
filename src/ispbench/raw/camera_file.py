"""Camera files (DNG, NEF, CR2, CR3, ARW, RAF, CRW, KDC, ...) as RGGB mosaics with their levels and color metadata.

LibRaw decodes them, through rawpy. The network gets the bare sensor, without white balance or color matrix. Both are
kept separately, for the rendering that serves as target.

    camera = read_camera("IMG_0001.CR2")
    raw = camera.canonical()    # packed RAW (4, h, w), what every model takes
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rawpy
from numpy.typing import NDArray

from ispbench.errors import UserError
from ispbench.raw.bayer import PHASE_OFFSETS, pack, to_rggb, unpack
from ispbench.raw.levels import add_black_level, normalize_raw

# The files that cameras write; others in the same folder are ignored.
_SUFFIXES = """
    3fr arw bay cap cr2 cr3 crw dcr dcs dng erf fff iiq k25 kc2 kdc mdc mef mos mrw nef nrw orf pef raf rw2 rwl sr2 srf
    srw x3f
"""
SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIXES.split())

_SATURATED = 0.98  # of the white level

# Linear sRGB to CIE XYZ under D65 (IEC 61966-2-1).
_XYZ_OF_SRGB = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)


@dataclass(frozen=True)
class CameraFile:
    """The sensor data of a camera file.

    Attributes:
        path: The file.
        mosaic: The visible sensor area as RGGB, shape (H, W), H and W even, in DN as decoded.
        phase: CFA phase of the visible area before the crop to RGGB.
        origin: Row and column of the mosaic's first pixel in the visible area.
        black_levels: The black levels of R, Gr, Gb, B in DN, shape (4,).
        white_levels: Of R, Gr, Gb, B in DN, shape (4,); the sensor saturates there or a little above.
        white_balance: Gains of R, G, B, green = 1, shape (3,).
        matrix: White-balanced camera RGB to linear sRGB, shape (3, 3), rows sum to 1; None if the camera is unknown.
        flip: The rotation that makes the image upright, in LibRaw's codes: 0 none, 3 by 180 degrees, 5 by 90 degrees
            counterclockwise, 6 by 90 degrees clockwise.
        aspect: The width of a pixel divided by its height.
        assumed: What had to be assumed because the file does not say, one clause each.
    """

    path: Path
    mosaic: NDArray[np.uint16]
    phase: str
    origin: tuple[int, int]
    black_levels: NDArray[np.float32]
    white_levels: NDArray[np.float32]
    white_balance: NDArray[np.float64]
    matrix: NDArray[np.float64] | None
    flip: int
    aspect: float
    assumed: tuple[str, ...]

    def canonical(self) -> NDArray[np.float32]:
        """Canonical packed RAW, shape (4, H/2, W/2): each plane's black level at 0, its white level at 1."""
        levels = self.black_levels[:, None, None], self.white_levels[:, None, None]
        return np.asarray(normalize_raw(pack(self.mosaic), *levels), np.float32)

    def rescaled(self, black_level: float, white_level: float) -> NDArray[np.uint16]:
        """The mosaic on a common scale of DN, shape (H, W): every plane's black and white at the given levels.

        What lies below black and above white is kept as far as 16 bits leave room for it.
        """
        dn = np.rint(add_black_level(self.canonical(), black_level, white_level) * white_level)
        return unpack(np.clip(dn, 0, 65535).astype(np.uint16))

    def upright(self, image: NDArray[Any]) -> NDArray[Any]:
        """Rotates an image of this sensor, shape (H, W, ...), to be upright."""
        return np.rot90(image, {3: 2, 5: 1, 6: 3}.get(self.flip, 0))


def read_camera(path: str | Path) -> CameraFile:
    """Reads a camera file with a 2x2 Bayer sensor.

    Raises:
        UserError: if the file is unreadable or its sensor has no Bayer CFA.
    """
    path = Path(path)
    with opened(path) as raw:
        cells = _bayer_cells(raw, path)
        phase = _letters(cells)
        top, left = PHASE_OFFSETS[phase]
        mosaic = to_rggb(np.asarray(raw.raw_image_visible), phase).astype(np.uint16)  # a copy: LibRaw frees its own
        # The color index (0 R, 1 and 3 green, 2 B) of each plane once the mosaic starts at its red pixel.
        planes = [cells[(row + top) % 2 * 2 + (column + left) % 2] for row in (0, 1) for column in (0, 1)]
        black = np.array(raw.black_level_per_channel, np.float32)[planes]
        white = np.array(_white_levels(raw), np.float32)[planes]
        if not (black < white).all():
            raise UserError(f"{path} states a black level of {black.max():g} and a white level of {white.min():g} DN.")
        camera = CameraFile(
            path=path,
            mosaic=mosaic,
            phase=phase,
            origin=(top, left),
            black_levels=black,
            white_levels=white,
            white_balance=np.ones(3),
            matrix=_matrix(raw),
            flip=raw.sizes.flip,
            aspect=raw.sizes.pixel_aspect,
            assumed=(),
        )
        return _with_assumptions(camera, np.array(raw.camera_whitebalance[:3], np.float64))


@contextmanager
def opened(path: Path) -> Iterator[rawpy.RawPy]:
    """Opens a file with rawpy.

    Raises:
        UserError: if LibRaw cannot read it.
    """
    if not path.is_file():
        raise UserError(f"There is no camera file {path}.")
    try:
        with rawpy.imread(str(path)) as raw:
            yield raw
    except rawpy.LibRawFileUnsupportedError as error:
        raise UserError(
            f"{path} is no camera file that LibRaw {libraw_version()} reads; it is damaged, of another kind, or of a "
            "camera too new for it. Convert it to DNG or remove it."
        ) from error
    except rawpy.LibRawError as error:
        reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise UserError(f"{path} cannot be decoded ({reason}); copy it from the camera again or remove it.") from error


def gray_world(raw: NDArray[np.float32]) -> NDArray[np.float64]:
    """The gains of R, G, B, green = 1, that make the mean of the 2x2 cells that are not saturated gray.

    Args:
        raw: Canonical packed RAW, shape (4, h, w).
    """
    usable = (raw < _SATURATED).all(axis=0)
    means = raw[:, usable].mean(axis=1, dtype=np.float64) if usable.any() else np.ones(4)
    red, green_red, green_blue, blue = np.maximum(means, 1e-4)
    green = (green_red + green_blue) / 2
    return np.array([green / red, 1.0, green / blue])


def libraw_version() -> str:
    """The version of LibRaw in rawpy, such as 0.22.2."""
    return ".".join(map(str, rawpy.libraw_version))


def _bayer_cells(raw: rawpy.RawPy, path: Path) -> list[int]:
    """The color indices of the top left 2x2 cell, row by row; an error unless it is a Bayer sensor."""
    pattern = raw.raw_pattern if raw.raw_type == rawpy.RawType.Flat else None
    if raw.raw_type != rawpy.RawType.Flat:
        refusal = "holds every color at each pixel (a Foveon sensor or an already demosaiced DNG)"
    elif pattern is None or pattern.size == 1:
        refusal = "is of a sensor without colors"
    elif pattern.shape == (6, 6):
        refusal = "has Fujifilm's X-Trans CFA of 6x6 pixels"
    else:
        cells = [int(cell) for cell in pattern.ravel()]
        if raw.num_colors == 3 and pattern.shape == (2, 2) and _letters(cells) in PHASE_OFFSETS:
            return cells
        refusal = f"has the CFA {pattern.tolist()} of {raw.color_desc.decode()}"
    raise UserError(f"{path} {refusal}; ispbench takes 2x2 Bayer mosaics of R, G, G, B. Remove the file.")


def _letters(cells: list[int]) -> str:
    return "".join("RGBG"[cell] for cell in cells)


def _white_levels(raw: Any) -> list[float]:
    """The white level of each color index: the camera's own if it states them, else LibRaw's saturation level."""
    own = raw.camera_white_level_per_channel
    if own and min(own) > max(raw.black_level_per_channel) and max(own) <= raw.white_level:
        return list(own)
    return [raw.white_level] * 4


def _matrix(raw: Any) -> NDArray[np.float64] | None:
    """White-balanced camera RGB to linear sRGB: the file's own matrix, else the inverse of the camera's XYZ matrix."""
    own = np.array(raw.color_matrix, np.float64)[:, :3]
    if own.any():
        return own / own.sum(axis=1, keepdims=True)
    camera_of_xyz = np.array(raw.rgb_xyz_matrix, np.float64)[:3]
    if not camera_of_xyz.any():
        return None
    camera_of_srgb = camera_of_xyz @ _XYZ_OF_SRGB
    # White balance maps the white of sRGB to equal camera RGB.
    return np.linalg.inv(camera_of_srgb / camera_of_srgb.sum(axis=1, keepdims=True))


def _with_assumptions(camera: CameraFile, gains: NDArray[np.float64]) -> CameraFile:
    """Fills in the white balance as shot, or gray world if the file has none, and lists the assumptions."""
    assumed = []
    # LibRaw gives zeros, -1 or all ones where a file states no white balance.
    if (gains > 0).all() and len(set(gains)) > 1:
        balance = gains / gains[1]
    else:
        balance = gray_world(camera.canonical())
        assumed.append(f"no white balance, gray world assumed (R x{balance[0]:.3f}, B x{balance[2]:.3f} relative to G)")
    if camera.matrix is None:
        assumed.append("no color matrix, camera RGB taken for sRGB")
    if abs(camera.aspect - 1) > 0.01:
        assumed.append(f"pixels {camera.aspect:.2f} times as wide as high, left as the sensor has them")
    return replace(camera, white_balance=balance, assumed=tuple(assumed))
