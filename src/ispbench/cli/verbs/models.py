"""List the models with parameters, GMACs, year, input convention and paper.

ispbench models max_params=1e6 year=2024 sort=gmacs
ispbench models 'awnet*' --size fullhd --format json
"""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ispbench import pretrained
from ispbench.cli.arguments import positional, setting
from ispbench.config import select
from ispbench.console import Column, say, table
from ispbench.errors import UserError
from ispbench.evaluation.sizes import parse_size

_COLUMNS = (
    Column("model"),
    *(Column(heading, right=True) for heading in ("parameters", "used", "GMACs")),
    Column("year"),
    Column("input", fold=True),
    Column("paper", fold=True),
)
_KEYS = ("name", "year", "params", "params_used", "gmacs", "size", "input", "paper")  # of JSON and CSV


@dataclass
class Settings:
    """What the verb takes."""

    patterns: list[str] = positional("PATTERN", "names of models, such as 'awnet*' (default: all)")
    size: str = setting("448x448", "Bayer image the GMACs are counted at, or fullhd", metavar="HEIGHTxWIDTH")
    max_params: float | None = setting(None, "at most this many parameters, such as 1e6", metavar="N", at_least=0)
    max_gmacs: float | None = setting(None, "at most this many GMACs", metavar="N", at_least=0)
    year: str | None = setting(None, "published in 2024, or in 2020-2022, or since 2024-", metavar="YEAR")
    sort: str | None = setting(
        None, "ascending by this (default: as typed)", choices=("name", "year", "params", "gmacs")
    )
    format: str = setting("table", "what is printed", choices=("table", "json", "csv"))
    json: bool = setting(False, "the same as format=json")
    csv: bool = setting(False, "the same as format=csv")

    def __post_init__(self) -> None:
        self.years = _years(self.year) if self.year else None
        if self.json or self.csv:
            self.format = "json" if self.json else "csv"

    def wants(self, row: dict[str, Any]) -> bool:
        """Whether a model passes the filters."""
        return (
            (self.max_params is None or row["params"] <= self.max_params)
            and (self.max_gmacs is None or row["gmacs"] <= self.max_gmacs)
            and (self.years is None or row["year"] in self.years)
        )


def run(settings: Settings) -> None:
    """Prints the models."""
    from ispbench.evaluation.catalog import entries, label_of

    names = select("model", settings.patterns or ["*"])
    size = parse_size(settings.size)
    label = label_of(size)
    rows = [{**vars(entry), "gmacs": entry.gmacs[label], "size": label} for entry in entries(names, size)]
    rows = [{key: row[key] for key in _KEYS} for row in rows if settings.wants(row)]
    if key := settings.sort:
        rows.sort(key=lambda row: (row[key] is None, row[key], row["name"]))
    if settings.format == "table":
        table(
            _COLUMNS, map(_cells, rows), caption=f"GMACs at a Bayer image of {label}. {_shipped(names)}", min_width=120
        )
    else:
        say(json.dumps(rows, indent=1) if settings.format == "json" else _as_csv(rows))


def _shipped(models: Sequence[str]) -> str:
    found = ", ".join(f"model={model} weights={name}" for model, name in pretrained.names() if model in models)
    return f"Trained weights come along: {found}." if found else ""


def _years(text: str) -> range:
    first, dash, last = text.partition("-")
    try:
        return range(int(first), (int(last) if last else 9999 if dash else int(first)) + 1)
    except ValueError as error:
        raise UserError(f"year is a year such as 2024, or 2020-2022, or 2024-, not {text!r}.") from error


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    numbers = (f"{row['params']:,}", f"{row['params_used']:,}", f"{row['gmacs']:.3f}")
    return row["name"], *numbers, str(row["year"] or ""), row["input"], row["paper"]


def _as_csv(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _KEYS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().rstrip("\n")
