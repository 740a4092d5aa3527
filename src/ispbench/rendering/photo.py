"""Camera files and Bayer images as what a network renders."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ispbench.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ispbench.raw.camera_file import CameraFile
    from ispbench.rendering.exif import Exif

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
        about: Size and levels, for the user.
        white_balance: Gains of R, G, B, green = 1, shape (3,).
        assumed: What was assumed where the file says nothing, one clause each.
        exif: What else the file says.
        camera: The camera file; None for a Bayer image.
    """

    raw: "NDArray[np.float32]"
    about: str
    white_balance: "NDArray[np.float64]"
    assumed: tuple[str, ...]
    exif: "Exif"
    camera: "CameraFile | None" = None

    def balanced(self) -> "NDArray[np.float32]":
        """The RAW with red and blue multiplied by the white balance, clipped at white as in training."""
        red, _, blue = self.white_balance
        balanced = self.raw.copy()
        balanced[0] *= red
        balanced[3] *= blue
        return balanced.clip(max=1)

    def upright(self, image: "NDArray[Any]") -> "NDArray[Any]":
        """Rotates a rendering, shape (2h, 2w, 3), to how the camera was held."""
        return self.camera.upright(image) if self.camera else image


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
        # A link that leads nowhere is named as a failure; a folder or a pipe is no photo, whatever its name.
        files = sorted(file for file in path.iterdir() if file.is_file() or (file.is_symlink() and not file.exists()))
        found = [file for file in files if is_camera_file(file) or _is_bayer_image(file)]
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
    from ispbench.rendering.exif import read_exif

    camera = read_camera(path)
    black = " ".join(f"{value:g}" for value in camera.black_levels)
    size = f"{camera.mosaic.shape[1]}x{camera.mosaic.shape[0]}"
    about = f"{size} {camera.phase}, black {black}, white {camera.white_levels.max():g} from the file"
    return Photo(camera.canonical(), about, camera.white_balance, camera.assumed, read_exif(path), camera)


def _read_bayer_image(path: Path, sensor: Sensor) -> Photo:
    import numpy as np

    from ispbench.data.image_files import read_mosaic
    from ispbench.raw.bayer import pack, to_rggb
    from ispbench.raw.camera_file import gray_world
    from ispbench.raw.levels import normalize_raw
    from ispbench.rendering.exif import Exif

    mosaic = read_mosaic(path)
    if mosaic.max() > 2 * sensor.white:
        raise UserError(
            f"{path} reaches {mosaic.max()}, far above data.white_level={sensor.white:g}; set data.black_level and "
            "data.white_level to the sensor's bit depth."
        )
    mosaic = to_rggb(mosaic, sensor.phase)
    raw = normalize_raw(pack(mosaic).astype(np.float32), sensor.black, sensor.white)
    about = f"{mosaic.shape[1]}x{mosaic.shape[0]} {sensor.phase}, black {sensor.black:g}, white {sensor.white:g}"
    return Photo(raw, about, gray_world(raw), ("no white balance, gray world assumed",), Exif())


def _is_bayer_image(path: Path) -> bool:
    return path.suffix.lower() in _BAYER_SUFFIXES
