"""Warp the targets to their RAW by optical flow, once for all models.

They serve protocol=aligned-gt-raw. What is in the cache already is kept, also after an interruption.
docs/protocols.md explains the protocols.
"""

from dataclasses import dataclass
from pathlib import Path

from ispbench.cli.arguments import overrides, setting
from ispbench.config import chosen, compose_and_build
from ispbench.console import say
from ispbench.data import SPLITS


@dataclass
class Settings:
    """What the command takes."""

    split: str = setting("test", "of the pairs", choices=SPLITS)
    picture: Path | None = setting(None, "also draw pairs before and after the alignment", metavar="FILE")
    names: str = setting("", "of the pairs to draw, separated by commas (default: the first)", metavar="NAME,...")
    crop: int = setting(160, "side of what is drawn of each", at_least=1)
    overrides: list[str] = overrides("data=NAME, protocol/flow=raft, and any key of the two")


def run(settings: Settings) -> None:
    """Makes the targets and prints where they are.

    Raises:
        UserError: for a protocol that computes no targets ahead.
    """
    named = chosen(settings.overrides, "protocol")
    default = [] if named else ["protocol=aligned-gt-raw"]
    data, protocol = compose_and_build([*default, *settings.overrides], "data", "protocol")
    data.prepare_data()
    targets = protocol.targets(data, settings.split)
    say(f"protocol {data.version}/{protocol.name}, {settings.split}: {len(targets.hashes)} targets")
    say(f"folder   {targets.folder}")
    say(f"checksum {targets.checksum}")
    say(f"valid    {targets.valid_share:.2%} of the pixels")
    if settings.picture:
        from ispbench.protocols.alignment_figure import draw

        names = [name for name in settings.names.split(",") if name]
        draw(data, protocol, settings.split, names, settings.crop, settings.picture)
        say(f"wrote    {settings.picture}")
