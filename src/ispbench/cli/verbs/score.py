"""Score images that somebody else rendered against the targets of a dataset.

The folder holds one PNG, JPEG or TIFF for each target, named like it; what is missing, extra or of another size is
named. The record in RESULTS/evaluations says that its origin is a folder of images.

  ispbench score outputs/render data=folder data.root=pairs data.black_level=64 data.white_level=1023 suffix=-metaisp
"""

from dataclasses import dataclass
from pathlib import Path

from ispbench.cli.arguments import overrides, positional, setting


@dataclass
class Settings:
    """What the verb takes."""

    folder: Path = positional("DIR", "the folder of the images")
    name: str = setting("", "who made them, the model of the record (default: the folder's name)")
    suffix: str = setting("", "what file names have after the target's name, such as -metaisp")
    overrides: list[str] = overrides("data= protocol= metrics=, and any key, such as eval.split=val")


def run(settings: Settings) -> None:
    """Scores the images, and prints the means."""
    from ispbench.evaluation.images import score_folder
    from ispbench.evaluation.report import report

    name = settings.name or settings.folder.resolve().name
    report(*score_folder(settings.folder, name, settings.suffix, settings.overrides))
