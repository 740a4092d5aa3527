"""Tables as people read them, in the formats in which they are printed and pasted."""

import html
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from ispbench.console import Column, say, table
from ispbench.errors import UserError
from ispbench.files import write_atomically

_LONG = 26  # characters; longer cells are broken into lines


@dataclass(frozen=True)
class Sheet:
    """A table of formatted cells.

    Attributes:
        title: Above it.
        headings: Of its columns.
        rows: The cells.
        texts: The headings of columns that hold words; the others hold numbers and are aligned to the right.
        notes: Sentences beneath it.
    """

    title: str
    headings: tuple[str, ...]
    rows: list[tuple[str, ...]]
    texts: frozenset[str] = frozenset()
    notes: list[str] = field(default_factory=list)

    def right(self, heading: str) -> bool:
        """Whether a column is aligned to the right."""
        return heading not in self.texts


def show(value: Any, pattern: str) -> str:
    """A number as text, nothing where it is missing."""
    return "" if value is None or pd.isna(value) else pattern.format(value)


def print_sheets(sheets: Sequence[Sheet]) -> None:
    """Prints tables on the terminal, their notes beneath them."""
    for sheet in sheets:
        widths = [max(map(len, cells)) for cells in zip(sheet.headings, *sheet.rows, strict=True)]
        columns = [
            Column(name, sheet.right(name), width > _LONG, min(width, _LONG))
            for name, width in zip(sheet.headings, widths, strict=True)
        ]
        table(columns, sheet.rows, title=sheet.title, min_width=sum(min(width, _LONG) + 3 for width in widths) + 3)
        say(*sheet.notes, *([""] if sheet.notes else []))


def as_markdown(sheets: Sequence[Sheet]) -> str:
    """Tables for Markdown, each under its title."""
    parts = []
    for sheet in sheets:
        cells = [[cell.replace("|", "\\|") for cell in row] for row in (sheet.headings, *sheet.rows)]
        lines = ["| " + " | ".join(row) + " |" for row in cells]
        lines.insert(1, "|" + "|".join("---:" if sheet.right(name) else "---" for name in sheet.headings) + "|")
        parts += [f"## {sheet.title}", "\n".join(lines), *(f"- {note}" for note in sheet.notes)]
    return "\n\n".join(parts) + "\n"


def as_latex(sheets: Sequence[Sheet]) -> str:
    """Tables for LaTeX with the package booktabs."""
    parts = ["% \\usepackage{booktabs}"]
    for sheet in sheets:
        form = "".join("r" if sheet.right(name) else "l" for name in sheet.headings)
        body = [" & ".join(map(_latex, row)) + r" \\" for row in sheet.rows]
        head = " & ".join(map(_latex, sheet.headings)) + r" \\"
        caption = " ".join(map(_latex, (f"{sheet.title}.", *sheet.notes)))
        lines = [r"\begin{table}", r"\centering", rf"\caption{{{caption}}}", rf"\begin{{tabular}}{{{form}}}"]
        lines += [r"\toprule", head, r"\midrule", *body, r"\bottomrule", r"\end{tabular}", r"\end{table}"]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


_LATEX = {"\\": r"\textbackslash{}", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "~": r"\textasciitilde{}"}
_LATEX |= {"^": r"\textasciicircum{}", "±": r"$\pm$", "×": r"$\times$", "<": "$<$", ">": "$>$"}
_LATEX |= {sign: f"\\{sign}" for sign in "&%$#_{}"}


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)


_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; text-align: left; white-space: nowrap; }
td.number, th.number { text-align: right; }
thead th { border-bottom: 2px solid; }
tbody tr + tr td { border-top: 1px solid color-mix(in srgb, currentColor 15%, transparent); }
"""


def as_html(sheets: Sequence[Sheet], title: str) -> str:
    """Tables as a page of its own, which loads nothing."""
    parts = []
    for sheet in sheets:
        kinds = ["number" if sheet.right(name) else "text" for name in sheet.headings]

        def line(cells: Sequence[str], tag: str, kinds: Sequence[str] = kinds) -> str:
            shown = (
                f'<{tag} class="{kind}">{html.escape(cell)}</{tag}>' for kind, cell in zip(kinds, cells, strict=True)
            )
            return f"<tr>{''.join(shown)}</tr>"

        body = "\n".join(line(row, "td") for row in sheet.rows)
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in sheet.notes)
        parts.append(
            f"<h2>{html.escape(sheet.title)}</h2>\n<div class='wide'><table>\n"
            f"<thead>{line(sheet.headings, 'th')}</thead>\n<tbody>\n{body}\n</tbody>\n</table></div>\n{notes}"
        )
    content = "\n".join(parts)
    return (
        "<!doctype html>\n<html lang='en'>\n<meta charset='utf-8'>\n"
        f"<meta name='viewport' content='width=device-width'>\n<title>{html.escape(title)}</title>\n"
        f"<style>{_STYLE}</style>\n<h1>{html.escape(title)}</h1>\n{content}\n</html>\n"
    )


def as_json(data: pd.DataFrame, columns: Mapping[str, str]) -> str:
    """A table of numbers as JSON: what its columns mean, and its rows."""
    rows = json.loads(data.to_json(orient="records", double_precision=15))
    meanings = {name: columns.get(name, "") for name in data.columns}
    return json.dumps({"columns": meanings, "rows": rows}, indent=1, ensure_ascii=False) + "\n"


def write_table(
    path: Path, data: pd.DataFrame, sheets: Sequence[Sheet], title: str, columns: Mapping[str, str]
) -> None:
    """Writes a table in the format that a file's suffix names.

    Args:
        path: The file, ``.csv``, ``.json``, ``.md``, ``.tex`` or ``.html``.
        data: Its numbers, for the first two.
        sheets: How it is read, for the others.
        title: Of a page.
        columns: What the columns of the numbers mean.

    Raises:
        UserError: for another suffix, or if the file cannot be written.
    """
    formats: dict[str, Callable[[], str]] = {
        ".csv": lambda: data.to_csv(index=False),
        ".json": lambda: as_json(data, columns),
        ".md": lambda: as_markdown(sheets),
        ".tex": lambda: as_latex(sheets),
        ".html": lambda: as_html(sheets, title),
    }
    if path.suffix not in formats:
        raise UserError(f"{path} ends in no format that a table is written in: {', '.join(formats)}.")
    write_atomically(path, formats[path.suffix](), "choose another output=FILE")
