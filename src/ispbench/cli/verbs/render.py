"""Render whole photos with one model or several side by side.

Each photo is saved as FILE-MODEL.png: upright, in the size of the sensor, with its EXIF and an sRGB profile. Camera
files bring their own levels, CFA and white balance; for Bayer images, say the sensor: data=zrr, or data.black_level=63
data.white_level=1020 data.cfa=RGGB. Several models also make a contact sheet, which shows LibRaw's rendering and the
camera's own preview as well.

Whatever its size, a photo goes through a network as a whole. On a CPU, what exceeds memory= is kept on disk meanwhile.

  ispbench render IMG_0001.CR2                       # MetaISP with weights that come with ispbench
  ispbench render IMG_0001.CR2 weights=RUN out=photos
  ispbench render ROOT/photos weights=RUN_A weights=RUN_B model=classical format=tiff bits=16
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ispbench.cli.arguments import overrides, positional, setting
from ispbench.config import chosen, compose
from ispbench.console import say
from ispbench.errors import UserError
from ispbench.rendering.entries import entries_of
from ispbench.rendering.photo import Sensor, is_camera_file, photos_in
from ispbench.rendering.results import name_results

if TYPE_CHECKING:
    from ispbench.rendering.job import Job

_GIB = 2**30


@dataclass
class Settings:
    """What the verb takes."""

    photos: list[Path] = positional(
        "FILE", "a camera file (DNG, NEF, CR2, ...), a Bayer image, or a folder", at_least=1
    )
    out: Path | None = setting(None, "folder of the results (default: outputs/render)", metavar="DIR")
    format: str = setting("png", "of the results", choices=("png", "tiff", "jpg"))
    bits: str = setting("8", "of a value, 16 for PNG and TIFF alone", choices=("8", "16"))
    sheet: bool | None = setting(None, "save a contact sheet FILE-sheet.jpg (default: with several models)")
    balance: bool | None = setting(None, "white-balance the RAW first (default: for models that were trained on such)")
    memory: float = setting(2.0, "GiB that a photo may take beyond the model on a CPU", at_least=0)
    device: str = setting("auto", "what renders", choices=("auto", "cpu", "cuda"))
    overwrite: bool = setting(False, "replace results that exist")
    overrides: list[str] = overrides(
        "weights=PATH, whose tensors tell the model, or model=NAME, once for each model (default: metaisp with "
        "weights=photos-v1/known-light), and any other key, such as data.cfa=GRBG"
    )

    def __post_init__(self) -> None:
        if self.format == "jpg" and self.bits == "16":
            raise UserError("A JPEG has 8 bits; for bits=16 use format=png or format=tiff.")


def run(settings: Settings) -> None:
    """Renders file by file; those that fail are named at the end, after the others.

    Raises:
        UserError: for a mistake in the arguments before anything is rendered; for files that failed, at the end.
    """
    entries, common = entries_of(settings.overrides)
    photos = [photo for path in settings.photos for photo in photos_in(path)]
    common = [*_data(photos, common), *common]
    config = compose(common)
    sensor = Sensor(float(config.data.black_level), float(config.data.white_level), config.data.get("cfa", "RGGB"))
    for entry in entries:  # mistakes are told before anything slow is imported
        if entry.name:
            compose([f"model={entry.name}", *common, *entry.options])

    from ispbench.data.cache import cache_folder
    from ispbench.evaluation.deploy import merge_branches
    from ispbench.rendering.job import Job
    from ispbench.rendering.lineup import line_up

    renderers = line_up(entries, common, settings.balance, settings.device)
    with_sheet = len(renderers) > 1 if settings.sheet is None else settings.sheet
    endings = [f"-{renderer.label}.{settings.format}" for renderer in renderers]
    folder = settings.out or Path(config.paths.outputs) / "render"
    results = name_results(photos, folder, endings + ["-sheet.jpg"] * with_sheet, settings.overwrite)
    scratch = cache_folder(config.paths.cache)
    job = Job(renderers, sensor, scratch, int(settings.bits), round(settings.memory * _GIB))
    for renderer in renderers:
        merge_branches(renderer.model)
        if len(renderers) > 1 and renderer.weights:
            say(f"{renderer.label}: {renderer.weights}")
    _work(job, results, with_sheet)
    if job.failures:
        raise UserError(job.summary(len(results)))


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


def _work(job: "Job", results: dict[Path, list[Path]], with_sheet: bool) -> None:
    """Renders photo by photo under a progress bar."""
    from rich.markup import escape
    from rich.progress import Progress

    models = len(job.renderers)
    with Progress(transient=True) as progress:
        whole = progress.add_task("Photos", total=len(results), visible=len(results) > 1)
        for path, files in results.items():
            task = progress.add_task(escape(path.name), total=models)
            job.do(path, files[:models], files[models] if with_sheet else None, _advance(progress, task))
            progress.remove_task(task)
            progress.advance(whole)


def _advance(progress: Any, task: Any) -> Callable[[int, float], None]:
    return lambda number, share: progress.advance(task, share)
