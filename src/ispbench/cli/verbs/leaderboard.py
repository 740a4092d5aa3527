"""Print the leaderboard and write results/leaderboard.csv."""

from dataclasses import dataclass
from pathlib import Path

from ispbench.cli.arguments import setting
from ispbench.console import say


@dataclass
class Settings:
    """What the verb takes."""

    results: Path = setting(Path("results"), "results folder", metavar="DIR")
    by: str | None = setting(None, "print means by camera, light, iso or photo, and write nothing", metavar="COLUMN")
    metric: str = setting("psnr", "of which the means by a column are")
    check: bool = setting(False, "write nothing; fail if leaderboard.csv is not what the runs give")


def run(settings: Settings) -> None:
    """Prints the tables and writes the file, or checks it."""
    from ispbench.results.leaderboard import check_file, leaderboard_of, print_breakdown, print_tables, write_file

    if settings.by:
        print_breakdown(settings.results, settings.by, settings.metric)
        return
    table = leaderboard_of(settings.results)
    print_tables(table)
    if settings.check:
        check_file(table, settings.results)
    else:
        say(f"wrote {write_file(table, settings.results)}")
