"""List the local runs with state, score and time, newest first."""

from dataclasses import dataclass
from pathlib import Path

from ispbench.cli.arguments import setting
from ispbench.console import Column, say, table
from ispbench.results.lookup import STATES, list_runs
from ispbench.results.summary import HEADINGS, reason, row, short_name


@dataclass
class Settings:
    """What the verb takes."""

    status: str | None = setting(None, f"only runs of this state: {', '.join(STATES)}", metavar="STATE", choices=STATES)
    model: str = setting("*", "only runs of this model, such as 'awnet*'", metavar="PATTERN")
    results: Path = setting(Path("results"), "results folder", metavar="DIR")
    outputs: Path = setting(Path("outputs"), "folder of the runs", metavar="DIR")


def run(settings: Settings) -> None:
    """Prints the list, and why runs failed."""
    runs = list_runs(settings.results, settings.outputs, settings.model, settings.status)
    if not runs:
        say("No such runs. Start one: python -m ispbench model=metaisp data=mini")
        return
    folded, numbers = ("model", "protocol"), HEADINGS[4:]
    columns = [
        Column(name, right=name in numbers, fold=name in folded, min_width=20 if name in folded else None)
        for name in HEADINGS
    ]
    table(columns, map(row, runs), min_width=140)
    for run in runs:
        if run.record["error"]:
            say(f"{short_name(run)} {run.state}: {reason(run.record['error'])}")
