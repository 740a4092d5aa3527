"""Whole photos through a network, for looking at: the verb ``render``.

Each camera file or Bayer image becomes one sRGB image of the sensor's full size. Large ones can be rendered in
overlapping tiles whose seams are blended.

    ispbench render IMG_0001.CR2 model=metaisp weights=best.ckpt out=photos tile=1024
"""

import argparse
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ispbench.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from omegaconf import DictConfig

    from ispbench.models.interface import ISPModel

_HELP = """\
Renders whole photos with a model and saves each as FILE-MODEL.png, in the size of the sensor.

FILE is a camera file (DNG, NEF, CR2, ...), a Bayer image (PNG, TIFF, .npy), or a folder of them. Camera files bring
their own black and white levels and CFA; for Bayer images, say them: data=zrr, or data.black_level=63
data.white_level=1020 data.cfa=RGGB.
"""
_OPTIONS = """\
  model=NAME          the model, a file of conf/model/
  weights=PATH        its weights: a checkpoint of ispbench or the authors' file
  out=DIR             folder of the results (default: outputs/render)
  tile=N              render in tiles of N sensor pixels, for large photos on small memory (default: the whole at once);
                      networks that look at the whole photo see only the tile
  overlap=N           of neighbouring tiles, blended, in sensor pixels (default: 64)
  format=png|jpg      of the results (default: png)
  device=auto|cpu|cuda
  overwrite=true      replace results that exist
  data.KEY=... model.KEY=...   any other key of the configuration
"""
_OVERRIDE = re.compile(r"[~+]*[A-Za-z_][\w.@/]*=")


@dataclass
class Settings:
    """The verb's own keys.

    Attributes:
        out: Folder of the results; null for ``render`` in the output folder.
        tile: Side of the tiles in sensor pixels; null for the whole image at once.
        overlap: Of neighbouring tiles in sensor pixels.
        format: png or jpg.
        device: auto, cpu or cuda.
        overwrite: Whether results may replace existing files.
    """

    out: str | None = None
    tile: int | None = None
    overlap: int = 64
    format: str = "png"
    device: str = "auto"
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.format not in ("png", "jpg"):
            raise UserError(f"format={self.format} is unknown; choose png or jpg.")
        if self.device not in ("auto", "cpu", "cuda"):
            raise UserError(f"device={self.device} is unknown; choose auto, cpu or cuda.")
        if self.overlap < 0 or self.overlap % 2:
            raise UserError(f"overlap={self.overlap} is no even number of pixels.")
        if self.tile is not None and (self.tile % 2 or self.tile < 32 or self.tile < 2 * self.overlap):
            raise UserError(
                f"tile={self.tile} is not an even number of at least 32 pixels and twice overlap={self.overlap}."
            )


@dataclass(frozen=True)
class Photo:
    """What is rendered.

    Attributes:
        raw: Canonical packed RAW, shape (4, h, w).
        upright: Turns the rendering, shape (2h, 2w, 3), as the camera was held.
        about: Size and levels, for the user.
    """

    raw: "NDArray[np.float32]"
    upright: "Callable[[NDArray[Any]], NDArray[Any]]"
    about: str


def main(arguments: list[str]) -> None:
    """Runs ``ispbench render``.

    Raises:
        UserError: for a mistake in the arguments before anything is rendered; for files that failed, at the end.
    """
    parser = argparse.ArgumentParser(
        prog="ispbench render",
        usage="ispbench render FILE... model=NAME [weights=PATH] [out=DIR] [KEY=VALUE...]",
        description=_HELP,
        epilog=_OPTIONS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("arguments", nargs="+", metavar="FILE or KEY=VALUE", help=argparse.SUPPRESS)
    files, settings, overrides = _sort(parser.parse_intermixed_args(arguments).arguments)
    name = _model_name(overrides)
    from ispbench.config import compose

    config = compose([*_sensor(files, overrides), *overrides])
    results = _results(files, Path(settings.out or Path(config.paths.outputs) / "render"), name, settings)
    _render_all(results, _model(config, name, settings), config, settings)


def _render_all(results: dict[Path, Path], model: "ISPModel", config: "DictConfig", settings: Settings) -> None:
    """Renders file by file; one that fails is named at the end, after the others."""
    from rich.console import Console
    from rich.progress import Progress

    from ispbench.models.tiled import render

    failures = []
    console = Console(highlight=False, soft_wrap=True)
    with Progress(console=console, transient=True) as progress:
        whole = progress.add_task("Rendering", total=len(results))
        for path, result in results.items():
            task = progress.add_task(path.name, total=None)
            try:
                photo = read_photo(path, config)
                image = render(model, photo.raw, settings.tile, settings.overlap, _advance(progress, task))
                _save(photo.upright(image), result)
                console.print(f"{path}: {photo.about} -> {result}", markup=False)
            except UserError as error:
                failures.append(str(error))
            progress.remove_task(task)
            progress.advance(whole)
    if failures:
        rest = len(results) - len(failures)
        raise UserError(f"{len(failures)} of {len(results)} photos failed, {rest} are saved. {' '.join(failures[:3])}")


def read_photo(path: Path, config: "DictConfig") -> Photo:
    """Reads a camera file, or a Bayer image with the levels and CFA of ``config.data``.

    Raises:
        UserError: if it cannot be read or does not fit the levels.
    """
    import numpy as np

    if _is_camera_file(path):
        from ispbench.raw.camera_file import read_camera

        camera = read_camera(path)
        levels = " ".join(f"{value:g}" for value in camera.black_levels), f"{camera.white_levels.max():g}"
        size = f"{camera.mosaic.shape[1]}x{camera.mosaic.shape[0]}"
        about = f"{size} {camera.phase}, black {levels[0]}, white {levels[1]} from the file"
        return Photo(camera.canonical(), camera.upright, about)
    from ispbench.data.image_files import read_mosaic
    from ispbench.raw.bayer import pack, to_rggb
    from ispbench.raw.levels import normalize_raw

    data = config.data
    phase, black, white = data.get("cfa", "RGGB"), float(data.black_level), float(data.white_level)
    mosaic = read_mosaic(path)
    if mosaic.max() > 2 * white:
        raise UserError(
            f"{path} reaches {mosaic.max()}, far above data.white_level={white:g}; set data.black_level and "
            "data.white_level to the sensor's bit depth."
        )
    mosaic = to_rggb(mosaic, phase)
    raw = normalize_raw(pack(mosaic).astype(np.float32), black, white)
    about = f"{mosaic.shape[1]}x{mosaic.shape[0]} {phase}, black {black:g}, white {white:g}"
    return Photo(raw, lambda image: image, about)


def _sort(arguments: list[str]) -> tuple[list[Path], Settings, list[str]]:
    """Files, the verb's own settings, and overrides of the configuration."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    own_keys = {field.name for field in fields(Settings)}
    paths: list[Path] = []
    own: list[str] = []
    overrides: list[str] = []
    for argument in arguments:
        key = argument.partition("=")[0]
        if Path(argument).exists() or not _OVERRIDE.match(argument):
            paths.append(Path(argument))
        else:
            (own if key in own_keys else overrides).append(argument)
    try:
        merged = OmegaConf.merge(OmegaConf.structured(Settings), OmegaConf.from_dotlist(own))
        settings = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        raise UserError(f"{' '.join(own)}: {str(error).splitlines()[0]}") from error
    assert isinstance(settings, Settings)
    return [file for path in paths for file in _expand(path)], settings, overrides


def _expand(path: Path) -> Iterator[Path]:
    """A file, or the images of a folder."""
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if _is_camera_file(file) or _is_bayer_image(file))
        if not found:
            raise UserError(f"The folder {path} holds no camera files and no PNG, TIFF or .npy files.")
        yield from found
    elif path.is_file():
        yield path
    else:
        raise UserError(f"There is no file {path}; render takes files or folders, and settings as KEY=VALUE.")


def _is_camera_file(path: Path) -> bool:
    from ispbench.raw.camera_file import SUFFIXES

    return path.suffix.lower() in SUFFIXES


def _is_bayer_image(path: Path) -> bool:
    return path.suffix.lower() in (".png", ".tif", ".tiff", ".npy")


def _model_name(overrides: list[str]) -> str:
    from ispbench.config import choices

    for override in overrides:
        if override.startswith("model="):
            return override.partition("=")[2]
    raise UserError(f"Say which model renders: model=NAME, one of {', '.join(choices('model'))}.")


def _sensor(files: list[Path], overrides: list[str]) -> list[str]:
    """The data configuration to start from where the user names none.

    Raises:
        UserError: if there is a Bayer image of unknown levels.
    """
    keys = {override.lstrip("+").partition("=")[0] for override in overrides}
    bayer = [path for path in files if not _is_camera_file(path)]
    if "data" in keys:
        return []
    if bayer and not {"data.black_level", "data.white_level"} <= keys:
        raise UserError(
            f"{bayer[0]} is a Bayer image without levels: say its sensor by data=NAME, such as data=zrr, or give "
            "data.black_level=... and data.white_level=..."
        )
    return ["data=folder" if bayer else "data=camera"]


def _results(files: list[Path], folder: Path, name: str, settings: Settings) -> dict[Path, Path]:
    """File to result, none of which exists or occurs twice."""
    if not files:
        raise UserError("Say what to render: ispbench render FILE... model=NAME; see --help.")
    results = {path: folder / f"{path.stem}-{name}.{settings.format}" for path in files}
    owners: dict[Path, Path] = {}
    for path, result in results.items():
        if owners.setdefault(result, path) != path:
            raise UserError(f"{owners[result]} and {path} would both become {result}; render them into two folders.")
    existing = [result for result in results.values() if result.exists()]
    if existing and not settings.overwrite:
        raise UserError(
            f"{len(existing)} of {len(results)} results exist already, first {existing[0]}; set overwrite=true or "
            "another out=DIR."
        )
    return results


def _model(config: "DictConfig", name: str, settings: Settings) -> "ISPModel":
    import torch
    from hydra.utils import instantiate

    from ispbench.checkpoints import load_weights

    if settings.device == "cuda" and not torch.cuda.is_available():
        raise UserError("device=cuda, but torch finds no CUDA device; use device=cpu.")
    model: ISPModel = instantiate(config.model)
    model.set_levels(config.data.black_level, config.data.white_level)
    if config.weights:
        load_weights(model, config.weights, name)
    elif any(value.requires_grad for value in model.parameters()):
        raise UserError(f"{name} is not trained; give its weights: weights=RUN_FOLDER/checkpoints/best.ckpt.")
    use_cuda = settings.device == "cuda" or (settings.device == "auto" and torch.cuda.is_available())
    return model.eval().to("cuda" if use_cuda else "cpu")


def _advance(progress: Any, task: Any) -> Callable[[int], None]:
    return lambda tiles: progress.update(task, total=tiles, advance=1)


def _save(image: "NDArray[np.uint8]", path: Path) -> None:
    """Writes an image whole or not at all."""
    import cv2

    options = [cv2.IMWRITE_JPEG_QUALITY, 95] if path.suffix == ".jpg" else []
    _, coded = cv2.imencode(path.suffix, cv2.cvtColor(image.copy(), cv2.COLOR_RGB2BGR), options)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(coded.tobytes())
            os.chmod(scratch, 0o644)
            os.replace(scratch, path)
        except BaseException:
            os.unlink(scratch)
            raise
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); free some space or set out=DIR.") from error
