"""Write a PNG grid of pairs: a gray-world rendering of the RAW on the left, the target on the right."""

from dataclasses import dataclass
from pathlib import Path

from ispbench.cli.arguments import overrides, setting
from ispbench.config import compose_and_build
from ispbench.console import say
from ispbench.data import SPLITS
from ispbench.errors import UserError
from ispbench.files import write_image


@dataclass
class Settings:
    """What the command takes."""

    split: str = setting("test", "of the pairs", choices=SPLITS)
    count: int = setting(8, "how many, evenly spread", at_least=1)
    names: str = setting("", "these pairs instead, separated by commas; also as SPLIT:NAME", metavar="NAME,...")
    size: int = setting(384, "shrink larger images to this side", at_least=1)
    full_resolution: bool = setting(False, "show the dataset's whole files, which have no targets")
    output: Path = setting(Path("pairs.png"), "the grid, .png or .jpg", metavar="FILE")
    overrides: list[str] = overrides("data=NAME and any key of it, such as data.root=FOLDER")

    def __post_init__(self) -> None:
        if self.output.suffix.lower() not in (".png", ".jpg", ".jpeg"):
            raise UserError(f"output={self.output} is to end in .png or .jpg.")


def run(settings: Settings) -> None:
    """Writes the grid."""
    (data,) = compose_and_build(settings.overrides, "data")
    from ispbench.data.pair_grid import full_grid, pair_grid

    if settings.full_resolution:
        grid = full_grid(data, settings.count)
    else:
        split, names = _chosen(settings)
        grid = pair_grid(data, split, names, settings.count, settings.size)
    write_image(settings.output, grid, "choose another output=FILE")
    say(f"wrote {settings.output}")


def _chosen(settings: Settings) -> tuple[str, list[str]]:
    """The split and the names; a name may bring its split along."""
    names = [name for name in settings.names.split(",") if name]
    splits = [name.partition(":")[0] for name in names if ":" in name and name.partition(":")[0] in SPLITS]
    split = splits[0] if splits else settings.split
    return split, [name.removeprefix(f"{split}:") for name in names]
