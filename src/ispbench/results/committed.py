"""The files that stand beside the records and are made of them."""

from pathlib import Path

import pandas as pd

from ispbench.errors import UserError
from ispbench.files import write_atomically
from ispbench.results import published, store
from ispbench.results.evaluation_table import correlation, evaluation_table
from ispbench.results.leaderboard import leaderboard
from ispbench.results.sheets import as_markdown
from ispbench.results.shown import sheets_of

_MADE = "Made from the records by `python -m ispbench leaderboard`, never edited."


Tables = tuple[pd.DataFrame, pd.DataFrame]


def tables_of(results: Path) -> Tables:
    """The whole leaderboard by PSNR of a results folder, and its single evaluations."""
    return leaderboard(results), evaluation_table(results)


def files_of(results: Path, tables: Tables | None = None) -> dict[Path, str]:
    """The files that stand beside the records and are made of them, with what they must hold.

    Args:
        results: The results folder.
        tables: Its `tables_of`; None: they are made.
    """
    board, evaluations = tables or tables_of(results)
    page = f"# Leaderboard\n\n{_MADE}\n\n{as_markdown(sheets_of(board))}"
    if told := correlation(evaluations):
        page += f"\n{told}\n"
    files = {
        results / "leaderboard.csv": board.to_csv(index=False),
        results / "leaderboard.md": page,
        results / "evaluations.csv": evaluations.to_csv(index=False),
    }
    if (results / "published").is_dir():
        beside = as_markdown(published.sheets_of(published.beside_measured(results, board=board)))
        files[results / "published.md"] = f"# Published and measured\n\n{_MADE}\n\n{beside}"
    return files


def write_files(results: Path, tables: Tables | None = None) -> list[Path]:
    """Writes `files_of` a results folder."""
    files = files_of(results, tables)
    for path, content in files.items():
        write_atomically(path, content)
    return list(files)


def check_files(results: Path, tables: Tables | None = None) -> None:
    """Checks that `files_of` a results folder are what the records give, and that all records are sound.

    Raises:
        UserError: naming those that are not.
    """
    if faults := store.survey(results)[1]:
        more = f" There are {len(faults) - 1} further faults." if len(faults) > 1 else ""
        raise UserError(f"{faults[0]}{more}")
    stale = [
        path
        for path, content in files_of(results, tables).items()
        if not path.is_file() or path.read_text(encoding="utf-8") != content
    ]
    if stale:
        names = " and ".join(map(str, stale))
        raise UserError(
            f"{names} {'is' if len(stale) == 1 else 'are'} not what the records give; run: python -m ispbench "
            f"leaderboard results={results}"
        )
