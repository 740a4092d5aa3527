"""Render whole photos with a model.

Each is saved as FILE-MODEL.png, in the size of the sensor. Camera files bring their own black and white levels and CFA;
for Bayer images, say them: data=zrr, or data.black_level=63 data.white_level=1020 data.cfa=RGGB. Large photos can be
rendered in overlapping tiles whose seams are blended; networks that look at the whole photo then see only the tile.

  ispbench render IMG_0001.CR2 model=metaisp weights=best.ckpt out=photos tile=1024
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ispbench.cli.arguments import overrides, positional, setting
from ispbench.config import build, choices, chosen, compose
from ispbench.console import say
from ispbench.errors import UserError, mistake_in
from ispbench.files import write_image
from ispbench.rendering.photo import Sensor, is_camera_file, photos_in, read_photo
from ispbench.rendering.results import name_results

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from ispbench.models.interface import ISPModel


@dataclass
class Settings:
    """What the verb takes."""

    photos: list[Path] = positional(
        "FILE", "a camera file (DNG, NEF, CR2, ...), a Bayer image, or a folder", at_least=1
    )
    out: Path | None = setting(None, "folder of the results (default: outputs/render)", metavar="DIR")
    tile: int | None = setting(None, "render in tiles of N sensor pixels (default: the whole at once)", at_least=32)
    overlap: int = setting(64, "of neighboring tiles, blended, in sensor pixels", at_least=0)
    format: str = setting("png", "of the results", choices=("png", "jpg"))
    device: str = setting("auto", "what renders", choices=("auto", "cpu", "cuda"))
    overwrite: bool = setting(False, "replace results that exist")
    overrides: list[str] = overrides(
        "weights=PATH, whose tensors tell the model, or model=NAME, and any other key, such as data.cfa=GRBG"
    )

    def __post_init__(self) -> None:
        if self.overlap % 2:
            raise UserError(f"overlap is an even number of pixels, not {self.overlap}.")
        if self.tile is not None and (self.tile % 2 or self.tile < 2 * self.overlap):
            raise UserError(f"tile={self.tile} is not an even number of at least twice overlap={self.overlap}.")


def run(settings: Settings) -> None:
    """Renders file by file; those that fail are named at the end, after the others.

    Raises:
        UserError: for a mistake in the arguments before anything is rendered; for files that failed, at the end.
    """
    name, options = _which_model(settings.overrides)
    photos = [photo for path in settings.photos for photo in photos_in(path)]
    config = compose([*_data(photos, settings.overrides), f"model={name}", *options, *settings.overrides])
    sensor = Sensor(float(config.data.black_level), float(config.data.white_level), config.data.get("cfa", "RGGB"))
    folder = settings.out or Path(config.paths.outputs) / "render"
    results = name_results(photos, folder, f"-{name}.{settings.format}", settings.overwrite)
    model = _model(config, name, settings.device, sensor)
    failures = _render(results, sensor, model, settings)
    if failures:
        rest = len(results) - len(failures)
        raise UserError(f"{len(failures)} of {len(results)} photos failed, {rest} are saved. {' '.join(failures[:3])}")


def _which_model(words: Sequence[str]) -> tuple[str, list[str]]:
    """The model's name, and as overrides the options that its weights tell.

    Raises:
        UserError: if neither the user nor the weights say which model renders.
    """
    name, weights = chosen(words, "model"), chosen(words, "weights")
    if weights:
        from ispbench.checkpoints import identify, weights_file

        found = identify(weights_file(weights), name)
        return found.name, found.overrides
    if name is None:
        names = ", ".join(choices("model"))
        raise UserError(f"Say which model renders: model=NAME, one of {names}; weights=FILE alone tells it too.")
    return name, []


def _data(photos: Sequence[Path], words: Sequence[str]) -> list[str]:
    """The data configuration to start from where the user names none.

    Raises:
        UserError: if there is a Bayer image of unknown levels.
    """
    if chosen(words, "data"):
        return []
    bayer = [path for path in photos if not is_camera_file(path)]
    if bayer and not (chosen(words, "data.black_level") and chosen(words, "data.white_level")):
        raise UserError(
            f"{bayer[0]} is a Bayer image without levels: say its sensor by data=NAME, such as data=zrr, or give "
            "data.black_level=... and data.white_level=..."
        )
    return ["data=folder" if bayer else "data=camera"]


def _model(config: "DictConfig", name: str, device: str, sensor: Sensor) -> "ISPModel":
    import torch

    from ispbench.checkpoints import load_weights

    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("device=cuda, but torch finds no CUDA device; use device=cpu.")
    model: ISPModel = build(config.model)
    if config.weights:
        load_weights(model, config.weights, name)
    elif any(value.requires_grad for value in model.parameters()):
        raise UserError(f"{name} is not trained; give its weights: weights=RUN_FOLDER/checkpoints/best.ckpt.")
    model.set_levels(sensor.black, sensor.white)
    use_cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    return model.eval().to("cuda" if use_cuda else "cpu")


def _render(results: dict[Path, Path], sensor: Sensor, model: "ISPModel", settings: Settings) -> list[str]:
    """Renders and saves; returns why photos failed."""
    from rich.progress import Progress

    from ispbench.rendering.tiled import render

    failures = []
    with Progress(transient=True) as progress:
        whole = progress.add_task("Rendering", total=len(results))
        for path, result in results.items():
            task = progress.add_task("", total=None)
            try:
                photo = read_photo(path, sensor)
                image = render(model, photo.raw, settings.tile, settings.overlap, _advance(progress, task))
                write_image(result, photo.upright(image), "set out=DIR")
            except Exception as error:  # whatever is wrong with one photo, the others are rendered
                failures.append(str(mistake_in(error) or f"{path}: {type(error).__name__}: {error}"))
            else:
                say(f"{path}: {photo.about} -> {result}")
            progress.remove_task(task)
            progress.advance(whole)
    return failures


def _advance(progress: Any, task: Any) -> Callable[[int], None]:
    return lambda tiles: progress.update(task, total=tiles, advance=1)
