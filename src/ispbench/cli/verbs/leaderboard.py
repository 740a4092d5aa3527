"""Print the leaderboard and write results/leaderboard.csv."""

from dataclasses import dataclass
from pathlib import Path

from ispbench.cli.arguments import setting
from ispbench.console import say


@dataclass
class Settings:
    """What the verb takes."""

    results: Path = setting(Path("results"), "results folder", metavar="DIR")
    check: bool = setting(False, "write nothing; fail if leaderboard.csv is not what the runs give")


def run(settings: Settings) -> None:
    """Prints the tables and writes the file, or checks it."""
    from ispbench.results.leaderboard import check_file, leaderboard_of, print_tables, write_file

    table = leaderboard_of(settings.results)
    print_tables(table)
    if settings.check:
        check_file(table, settings.results)
    else:
        say(f"wrote {write_file(table, settings.results)}")
