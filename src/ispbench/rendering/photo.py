"""Camera files and Bayer images as what a network renders."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ispbench.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BAYER_SUFFIXES = (".png", ".tif", ".tiff", ".npy")


@dataclass(frozen=True)
class Sensor:
    """What a Bayer image does not say about itself.

    Attributes:
        black: Level in DN.
        white: Level in DN.
        phase: Of its CFA: RGGB, GRBG, GBRG or BGGR.
    """

    black: float
    white: float
    phase: str = "RGGB"

    def __post_init__(self) -> None:
        if not 0 <= self.black < self.white:
            raise UserError(f"data.black_level={self.black:g} must lie below data.white_level={self.white:g}.")


@dataclass(frozen=True)
class Photo:
    """What is rendered.

    Attributes:
        raw: Canonical packed RAW, shape (4, h, w).
        upright: Rotates and flips a rendering of shape (2h, 2w, 3) to how the camera was held.
        about: Size and levels, for the user.
    """

    raw: "NDArray[np.float32]"
    upright: "Callable[[NDArray[Any]], NDArray[Any]]"
    about: str


def is_camera_file(path: Path) -> bool:
    """Whether a file brings its own levels and CFA."""
    from ispbench.raw.camera_file import SUFFIXES

    return path.suffix.lower() in SUFFIXES


def photos_in(path: Path) -> Iterator[Path]:
    """A file itself, or the camera files and Bayer images of a folder.

    Raises:
        UserError: if there are none.
    """
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if is_camera_file(file) or _is_bayer_image(file))
        if not found:
            raise UserError(f"The folder {path} holds no camera files and no PNG, TIFF or .npy files.")
        yield from found
    elif path.is_file():
        yield path
    else:
        raise UserError(f"There is no file {path}; render takes files or folders, and settings as KEY=VALUE.")


def read_photo(path: Path, sensor: Sensor) -> Photo:
    """Reads a camera file, or a Bayer image of a sensor.

    Raises:
        UserError: if it cannot be read or does not fit the levels.
    """
    return _read_camera_file(path) if is_camera_file(path) else _read_bayer_image(path, sensor)


def _read_camera_file(path: Path) -> Photo:
    from ispbench.raw.camera_file import read_camera

    camera = read_camera(path)
    black = " ".join(f"{value:g}" for value in camera.black_levels)
    size = f"{camera.mosaic.shape[1]}x{camera.mosaic.shape[0]}"
    about = f"{size} {camera.phase}, black {black}, white {camera.white_levels.max():g} from the file"
    return Photo(camera.canonical(), camera.upright, about)


def _read_bayer_image(path: Path, sensor: Sensor) -> Photo:
    import numpy as np

    from ispbench.data.image_files import read_mosaic
    from ispbench.raw.bayer import pack, to_rggb
    from ispbench.raw.levels import normalize_raw

    mosaic = read_mosaic(path)
    if mosaic.max() > 2 * sensor.white:
        raise UserError(
            f"{path} reaches {mosaic.max()}, far above data.white_level={sensor.white:g}; set data.black_level and "
            "data.white_level to the sensor's bit depth."
        )
    mosaic = to_rggb(mosaic, sensor.phase)
    raw = normalize_raw(pack(mosaic).astype(np.float32), sensor.black, sensor.white)
    about = f"{mosaic.shape[1]}x{mosaic.shape[0]} {sensor.phase}, black {sensor.black:g}, white {sensor.white:g}"
    return Photo(raw, lambda image: image, about)


def _is_bayer_image(path: Path) -> bool:
    return path.suffix.lower() in _BAYER_SUFFIXES
