"""Download a named set of photographs for data=photos.

Every file is verified, and an interrupted download goes on where it stopped.
"""

from dataclasses import dataclass
from pathlib import Path

from ispbench.cli.arguments import positional, setting
from ispbench.console import say


@dataclass
class Settings:
    """What the command takes."""

    name: str = positional("NAME", "the set, such as photos-v1")
    folder: Path | None = setting(None, "where to put it (default: the cache, where data=photos finds it)")


def run(settings: Settings) -> None:
    """Downloads what is missing."""
    from ispbench.data.cache import cache_folder
    from ispbench.data.photo_sets import fetch, load_set, sets_folder

    listed = load_set(settings.name)
    folder = settings.folder or sets_folder(cache_folder()) / settings.name
    downloaded = fetch(settings.name, folder)
    say(f"{settings.name}: {len(listed)} photographs in {folder}, {downloaded} of them downloaded now")
    if settings.folder:
        say(f"use them with data=photos data.root={folder}")
