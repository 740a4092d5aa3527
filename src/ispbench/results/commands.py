"""The command that a record was made by, without the places of a machine."""

import re
from collections.abc import Iterable

_PLACES = (
    "data.root",
    "data.cache",
    "data.pack",
    "paths",
    "hydra",
    "launcher",
    "logger",
    "num_workers",
    "overwrite",
    "resume",
    "weights",
)


def repeatable(overrides: Iterable[str]) -> list[str]:
    """The overrides that decide what is done: without those that say where, and without anything that holds a path."""
    return [override for override in overrides if not _is_place(override)]


def _is_place(override: str) -> bool:
    key, _, value = override.partition("=")
    words = key.lstrip("+~").replace("/", ".").replace("@", ".")
    named = any(words == place or words.startswith(f"{place}.") for place in _PLACES)
    return named or re.search(r"[/\\~]", value) is not None
