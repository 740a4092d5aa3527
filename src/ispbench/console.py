"""What is said on the terminal. Text is shown as it is: brackets in a path or a message are never read as markup."""

import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        heading: Shown above it.
        right: Whether its cells are aligned to the right, as numbers are.
        fold: Whether long cells are broken into lines where the terminal is narrow.
        min_width: Characters it keeps in any case.
    """

    heading: str
    right: bool = False
    fold: bool = False
    min_width: int | None = None


def say(*lines: str) -> None:
    """Prints lines to standard output."""
    print(*lines, sep="\n", flush=True)


def warn(sentence: str) -> None:
    """Prints a sentence to standard error under the name of the program."""
    with suppress(OSError):  # nobody listens
        print(f"ispbench: {sentence}", file=sys.stderr, flush=True)


def table(
    columns: Sequence[str | Column],
    rows: Iterable[Sequence[object]],
    title: str = "",
    caption: str = "",
    min_width: int = 0,
) -> None:
    """Prints a table.

    Args:
        columns: Headings, or columns with their format.
        rows: Cells, one for each column.
        title: Above the table.
        caption: Below the table.
        min_width: Characters that the table may fill even where the terminal is narrower.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(
        title=Text(title, "table.title") if title else None,
        caption=Text(caption, "table.caption") if caption else None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    for column in columns:
        heading, right, fold, least = Column(column) if isinstance(column, str) else column
        shown.add_column(
            Text(heading),
            justify="right" if right else "left",
            no_wrap=not fold,
            overflow="fold",
            min_width=least,
        )
    for row in rows:
        shown.add_row(*(Text(str(cell)) for cell in row))
    console = Console()
    console.width = max(console.width, min_width)
    console.print(shown)
