"""Print the leaderboard, write it to results/, or in another format.

A row is a setting with its seeds, ranked among the rows of one protocol, track, split, version of the rules and
training budget. Patterns choose rows, and ranks are then among these:

  ispbench leaderboard dataset=photos* track=one-camera max_params=2e6
  ispbench leaderboard protocol=zrr-v1/original-gt output=table.tex
  ispbench leaderboard published=true

docs/leaderboard.md explains ranks, intervals and marks.
"""

from dataclasses import dataclass
from pathlib import Path

from ispbench.cli.arguments import setting
from ispbench.console import say


@dataclass
class Settings:
    """What the verb takes."""

    results: Path = setting(Path("results"), "results folder", metavar="DIR")
    dataset: str = setting("*", "rows scored on this dataset, such as photos-v1", metavar="PATTERN")
    protocol: str = setting("*", "rows of this protocol", metavar="PATTERN")
    track: str = setting("*", "rows scored on this track", metavar="PATTERN")
    budget: str = setting("*", "rows of this training budget, such as '600 steps*'", metavar="PATTERN")
    model: str = setting("*", "rows of this model", metavar="PATTERN")
    min_params: float | None = setting(None, "rows of at least so many parameters", metavar="N", at_least=0)
    max_params: float | None = setting(None, "rows of at most so many parameters", metavar="N", at_least=0)
    since: str | None = setting(None, "rows whose newest evaluation is of this day or later", metavar="YYYY-MM-DD")
    until: str | None = setting(None, "rows whose newest evaluation is of this day or earlier", metavar="YYYY-MM-DD")
    variants: bool = setting(False, "show the cells of ablations as well")
    published: bool = setting(False, "show what papers publish, beside what was measured here")
    include_unverified: bool = setting(False, "of what papers publish, also what nobody has checked yet")
    by: str | None = setting(None, "print means by camera, light, iso or photo, and write nothing", metavar="COLUMN")
    metric: str = setting("psnr", "the score that ranks, or whose means by a column are printed")
    output: Path | None = setting(None, "write what is shown to .csv, .json, .md, .tex or .html", metavar="FILE")
    check: bool = setting(False, "write nothing; fail if the files in RESULTS are not what the records give")


def run(settings: Settings) -> None:
    """Prints the tables; writes the files, or checks them."""
    from ispbench.results import published
    from ispbench.results.breakdown import print_breakdown
    from ispbench.results.committed import check_files, write_files
    from ispbench.results.evaluation_table import evaluation_table
    from ispbench.results.filters import Filters
    from ispbench.results.leaderboard import leaderboard
    from ispbench.results.sheets import print_sheets, write_table
    from ispbench.results.shown import COLUMNS, print_board, sheets_of

    results, output = settings.results, settings.output
    filters = Filters(**{name: getattr(settings, name) for name in Filters.__dataclass_fields__})
    if settings.by:
        print_breakdown(results, settings.by, settings.metric)
    elif settings.published or settings.include_unverified:
        table = published.beside_measured(results, filters, settings.include_unverified)
        sheets = published.sheets_of(table)
        print_sheets(sheets)
        if output:
            write_table(output, table, sheets, "Published and measured", published.COLUMNS)
            say(f"wrote {output}")
    else:
        board, evaluations = leaderboard(results, settings.metric, filters), evaluation_table(results)
        whole = (board, evaluations) if filters == Filters() and settings.metric == "psnr" else None
        print_board(board, evaluations)
        if output:
            write_table(output, board, sheets_of(board), "Leaderboard", COLUMNS)
            say(f"wrote {output}")
        elif settings.check:
            check_files(results, whole)
        elif whole is not None:
            say(f"wrote {', '.join(map(str, write_files(results, whole)))}")
