"""Print sizes, levels, colors and brightness of each split."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ispbench.cli.arguments import overrides, setting
from ispbench.config import compose_and_build
from ispbench.console import Column, say, table
from ispbench.files import write_atomically


@dataclass
class Settings:
    """What the command takes."""

    limit: int = setting(1000, "pairs to read of each split", at_least=1)
    output: Path | None = setting(None, "also write the numbers to this JSON file", metavar="FILE")
    overrides: list[str] = overrides("data=NAME and any key of it, such as data.root=FOLDER")


def run(settings: Settings) -> None:
    """Prints a table."""
    (data,) = compose_and_build(settings.overrides, "data")
    from ispbench.data.statistics import stats

    measured = stats(data, settings.limit)
    names = dict.fromkeys(name for split in measured.values() for name in split)
    table(
        [Column(""), *(Column(split, right=True, fold=True) for split in measured)],
        [(name, *(_show(split.get(name)) for split in measured.values())) for name in names],
        title=f"{data.protocol}: black {data.black_level:g}, white {data.white_level:g} DN",
    )
    if settings.output:
        write_atomically(settings.output, json.dumps(measured, indent=1) + "\n", "choose another output=FILE")
        say(f"wrote {settings.output}")


def _show(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{size} ({count})" for size, count in list(value.items())[:3])
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.5g}"
