"""``ispbench models``: every model with its size, input and paper."""

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

from ispbench.config import choices
from ispbench.errors import UserError

if TYPE_CHECKING:
    from ispbench.models.catalog import Entry

_SORTS = ("name", "params", "gmacs", "year")


def main(arguments: list[str]) -> None:
    """``ispbench models``."""
    options = _parser().parse_args(arguments)
    names = [name for name in choices("model") if any(fnmatch(name, pattern) for pattern in options.patterns)]
    if not names:
        raise UserError(f"No model matches {', '.join(options.patterns)}; there are {', '.join(choices('model'))}.")
    from ispbench.models.catalog import entries

    label = f"{options.size[0]}x{options.size[1]}"
    rows = [_row(entry, label) for entry in entries(names, options.size) if _wanted(entry, label, options)]
    rows.sort(key=lambda row: (row[options.sort] is None, row[options.sort], row["name"]))
    if options.format == "json":
        print(json.dumps(rows, indent=1))
    elif options.format == "csv":
        writer = csv.DictWriter(sys.stdout, list(_COLUMNS), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        _print_table(rows, label)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ispbench models", description="List the models with parameters, GMACs, input convention and paper."
    )
    parser.add_argument("patterns", nargs="*", default=["*"], metavar="PATTERN", help="names, such as 'awnet*'")
    parser.add_argument(
        "--size", type=_size, default=(448, 448), help="Bayer image the GMACs are counted at (default: 448x448)"
    )
    parser.add_argument("--max-params", type=float, metavar="N", help="at most this many parameters, such as 1e6")
    parser.add_argument("--max-gmacs", type=float, metavar="N", help="at most this many GMACs")
    parser.add_argument(
        "--year", type=_years, metavar="YEAR", help="published in 2024, or in 2020-2022, or since 2024-"
    )
    parser.add_argument("--sort", choices=_SORTS, default="name", help="ascending (default: name)")
    parser.add_argument("--format", choices=("table", "json", "csv"), default="table", help="(default: table)")
    for name in ("json", "csv"):
        parser.add_argument(f"--{name}", dest="format", action="store_const", const=name, help=f"--format {name}")
    return parser


def _size(text: str) -> tuple[int, int]:
    try:
        height, width = (int(side) for side in text.split("x"))
    except ValueError as error:
        raise UserError(f"--size has the form HEIGHTxWIDTH, such as 448x448, not {text!r}.") from error
    return height, width


def _years(text: str) -> range:
    first, dash, last = text.partition("-")
    try:
        return range(int(first), (int(last) if last else 9999 if dash else int(first)) + 1)
    except ValueError as error:
        raise UserError(f"--year is a year such as 2024, or 2020-2022, or 2024-, not {text!r}.") from error


def _wanted(entry: "Entry", label: str, options: argparse.Namespace) -> bool:
    return (
        (options.max_params is None or entry.params <= options.max_params)
        and (options.max_gmacs is None or entry.gmacs[label] <= options.max_gmacs)
        and (options.year is None or entry.year in options.year)
    )


# Of JSON and CSV, with the headings of those that the table shows.
_COLUMNS = {
    "name": "model",
    "year": "year",
    "params": "parameters",
    "params_used": "used",
    "gmacs": "GMACs",
    "size": None,
    "input": "input",
    "paper": "paper",
}


def _row(entry: "Entry", label: str) -> dict[str, Any]:
    return {key: getattr(entry, key, None) for key in _COLUMNS} | {"gmacs": entry.gmacs[label], "size": label}


def _print_table(rows: Sequence[dict[str, Any]], label: str) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.width = max(console.width, 120)
    table = Table(box=box.SIMPLE_HEAD, caption=f"GMACs at a Bayer image of {label}.")
    for key, heading in _COLUMNS.items():
        if heading:
            number = key in ("params", "params_used", "gmacs")
            table.add_column(heading, justify="right" if number else "left", no_wrap=number or key == "name")
    for row in rows:
        sizes = (f"{row['params']:,}", f"{row['params_used']:,}", f"{row['gmacs']:.3f}")
        table.add_row(row["name"], str(row["year"] or ""), *sizes, row["input"], row["paper"])
    console.print(table)
