"""Decode all pairs once into one file per split.

The packed files are in the cache (ISPBENCH_CACHE). Training then uses them instead of the originals, and rebuilds them
when those change. An interrupted packing continues where it stopped.
"""

import time
from dataclasses import dataclass

from ispbench.cli.arguments import overrides, setting
from ispbench.config import compose_and_build
from ispbench.console import say
from ispbench.data import SPLITS
from ispbench.errors import UserError


@dataclass
class Settings:
    """What the command takes."""

    split: str | None = setting(None, "only this split (default: all)", choices=SPLITS)
    remove: bool = setting(False, "delete the packed files instead")
    overrides: list[str] = overrides("data=NAME and any key of it, such as data.root=FOLDER")


def run(settings: Settings) -> None:
    """Packs, or removes what was packed."""
    (data,) = compose_and_build(settings.overrides, "data")
    from ispbench.data.packing import build_pack, is_current

    if data.pack == "never":
        raise UserError("This dataset is read without a packed copy (data.pack=never), so that one would be of no use.")
    for split in [settings.split] if settings.split else SPLITS:
        path = data.pack_path(split)
        if settings.remove:
            for leftover in path.parent.glob(f"{split}.*"):
                leftover.unlink()
            say(f"removed {path}")
            continue
        source = data.open(split)
        if not len(source):
            raise UserError(f"The {split} split has no pairs; run: ispbench data check")
        if is_current(source, path):
            say(f"{split}: {len(source):,} pairs are packed already in {path}")
            continue
        started = time.perf_counter()
        build_pack(source, path, skip=data.on_error == "skip" and split == "train")
        seconds = time.perf_counter() - started
        size = path.stat().st_size / 1e9
        say(f"{split}: packed {len(source):,} pairs, {size:.2f} GB, in {seconds:.0f} s: {path}")
