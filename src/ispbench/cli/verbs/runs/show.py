"""Show one run, or what distinguishes two."""

from dataclasses import dataclass
from pathlib import Path

from ispbench.cli.arguments import positional, setting
from ispbench.console import Column, say, table
from ispbench.errors import UserError
from ispbench.results.lookup import find_runs
from ispbench.results.summary import describe, distinguish


@dataclass
class Settings:
    """What the verb takes."""

    ids: list[str] = positional("ID", "one or two runs, each by a part of its id that no other id has", at_least=1)
    results: Path = setting(Path("results"), "results folder", metavar="DIR")
    outputs: Path = setting(Path("outputs"), "folder of the runs", metavar="DIR")

    def __post_init__(self) -> None:
        if len(self.ids) > 2:
            raise UserError(f"runs show takes one or two ids, not {len(self.ids)}.")


def run(settings: Settings) -> None:
    """Prints the tables."""
    runs = find_runs(settings.results, settings.outputs, settings.ids)
    for section in describe(runs[0]) if len(runs) == 1 else distinguish(*runs):
        if section.rows:
            columns = [Column(heading, fold=True) for heading in section.headings]
            table(columns, section.rows, title=section.title, min_width=140)
        elif section.instead:
            say(section.instead)
    if len(runs) == 1 and runs[0].record["error"]:
        say(runs[0].record["error"])
