"""Which rows the words of ``ispbench compare`` mean, and which of them compare."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

from ispbench.errors import UserError
from ispbench.results.filters import Filters
from ispbench.results.lookup import find
from ispbench.results.rows import UNTRAINED, Row, load_rows, without_ablations

_SCORED = ("protocol", "split", "rules", "fingerprint", "limit", "definition")
_TRAINED = ("trained_on", "budget")
_WORDS = {"protocol": "protocols", "split": "splits", "fingerprint": "scored pairs", "limit": "numbers of images"}
_WORDS |= {"definition": "definitions of the score", "trained_on": "training data", "budget": "training budgets"}


def selected(
    results: Path, names: Sequence[str], metric: str, filters: Filters, mixed: bool = False
) -> list[tuple[list[Row], list[Row]]]:
    """The rows that names mean, together with those that rank beside them.

    Args:
        results: The results folder.
        names: Each a model, meaning its rows with all their seeds, or a part of an evaluation's id, meaning that one.
        metric: The score.
        filters: Which rows a model's name may mean.
        mixed: Whether rows of different training data or budgets are compared as well. Those of nothing trained always
            are.

    Returns:
        One entry for each protocol, track and budget under which all names have a row: these rows, in the order of the
        names, and the other rows of the same rankings.

    Raises:
        UserError: for a name that means nothing, or names whose rows do not compare.
    """
    if len(set(names)) < len(names):
        raise UserError("Each row can be named only once; give parts of ids to compare seeds of one model.")
    everything = load_rows(results, metric)
    choices = [_meant(name, everything, filters) for name in names]
    sets = [list(rows) for rows in product(*choices)]
    found = sorted((rows for rows in sets if not _reasons(rows, mixed)), key=lambda rows: [row.ranking for row in rows])
    if not found:
        raise UserError(
            f"{' and '.join(names)} do not compare: their {', their '.join(_reasons(sets[0], mixed))}. Choose rows of "
            f"one protocol, track and budget{'' if mixed else ', or set mixed=true for rows of different budgets'}."
        )
    rankings = [{row.ranking for row in rows} for rows in found]
    return [
        (rows, [row for row in everything if row.ranking in ranked])
        for rows, ranked in zip(found, rankings, strict=True)
    ]


def _meant(name: str, everything: Sequence[Row], filters: Filters) -> list[Row]:
    rows = [row for row in everything if name in (row.model, row.name)]
    if rows:
        plain = [row for row in without_ablations(rows) if row.model == name]
        kept = replace(filters, variants=True).apply(plain or [row for row in rows if row.name == name] or rows)
        if not kept:
            raise UserError(f"No row of {name} passes the filters.")
        return kept
    records = [record for row in everything for record in row.records]
    try:
        record = find(records, name)
    except UserError as error:
        models = ", ".join(dict.fromkeys(row.model for row in everything)) or "none"
        raise UserError(f"{name!r} is no model with scores ({models}). {error}") from error
    (whole,) = (row for row in everything if any(other["id"] == record["id"] for other in row.records))
    return [Row(str(record["id"]), whole.ranking, (record,), part_of=whole.key)]


def _reasons(rows: Sequence[Row], mixed: bool) -> list[str]:
    """In what rows differ that must agree, in words."""
    trained = [row for row in rows if row.ranking.budget != UNTRAINED]
    wrong = [_difference(name, rows) for name in _SCORED]
    if not mixed:
        wrong += [_difference(name, trained) for name in _TRAINED]
    return [reason for reason in wrong if reason]


def _difference(name: str, rows: Iterable[Row]) -> str:
    values = list(dict.fromkeys(str(getattr(row.ranking, name)) for row in rows))
    return (
        f"{_WORDS.get(name, name)} differ ({' against '.join(value or 'none' for value in values)})"
        if len(values) > 1
        else ""
    )
