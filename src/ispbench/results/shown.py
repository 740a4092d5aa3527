"""The leaderboard as people read it."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from ispbench.console import say
from ispbench.metrics.table import TABLE, shown_as
from ispbench.results.evaluation_table import correlation
from ispbench.results.leaderboard import AFTER, BEFORE
from ispbench.results.rows import UNTRAINED
from ispbench.results.sheets import Sheet, print_sheets, show

_SCORES = ("psnr", "ssim", "lpips")
_MARKS = {"pareto_params": "params", "pareto_gmacs": "MACs", "pareto_latency": "ms"}
_SCORED = ["protocol", "split", "rules", "limit", "data_fingerprint"]
_TEXTS = frozenset({"model", "best for its", "tier"})
COLUMNS = BEFORE | AFTER


def sheets_of(board: pd.DataFrame) -> list[Sheet]:
    """One table a ranking, from the table of `ispbench.results.leaderboard.leaderboard`.

    What learns nothing keeps within any budget: it stands beneath the rows of each, and has no rank among them.
    """
    untrained = board[board["budget"] == UNTRAINED]
    sheets, placed = [], set()
    for _, rows in board[board["budget"] != UNTRAINED].groupby("ranking_key", sort=False):
        beneath = untrained[(untrained[_SCORED] == rows.iloc[0][_SCORED]).all(axis=1)]
        placed |= set(beneath["row"])
        sheets.append(_sheet(rows, beneath))
    alone = untrained[~untrained["row"].isin(placed)]
    return sheets + [_sheet(rows, alone[:0]) for _, rows in alone.groupby("ranking_key", sort=False)]


def _sheet(ranked: pd.DataFrame, beneath: pd.DataFrame) -> Sheet:
    rows = pd.concat([ranked, beneath.assign(rank=None, **dict.fromkeys(_MARKS))]) if len(beneath) else ranked
    first = rows.iloc[0]
    scores = [name for name in dict.fromkeys((first["ranked_by"], *_SCORES)) if rows[name].notna().any()]
    headings = ("rank", "model", "seeds", *(_heading(name) for name in scores))
    headings += ("params", "GMACs", "ms", "train s", "best for its", "tier")
    lines = [
        (
            show(row["rank"], "{:d}"),
            f"{row['model']} {row['variant']}".strip(),
            str(row["seeds"]),
            *(_mean(row, name) for name in scores),
            show(row["params"], "{:,d}"),
            show(row["gmacs"], "{:.2f}"),
            show(row["latency_ms"], "{:.0f}"),
            show(row["train_s"], "{:.0f}"),
            ", ".join(word for name, word in _MARKS.items() if not pd.isna(row[name]) and row[name]),
            row["tier"],
        )
        for row in rows.to_dict("records")
    ]
    full = [place for place in range(len(headings)) if any(line[place] for line in lines)]
    headings, lines = _only(headings, full), [_only(line, full) for line in lines]
    title = first["ranking"] + (", simulated sensor" if rows["simulated"].any() else "")
    notes = list(_notes(rows))
    if len(beneath):
        notes.append("A row without a rank learns nothing, and so keeps within any budget.")
    return Sheet(title, headings, lines, _TEXTS, notes)


def _only(cells: tuple[str, ...], places: list[int]) -> tuple[str, ...]:
    return tuple(cells[place] for place in places)


def _notes(rows: pd.DataFrame) -> Iterator[str]:
    yield (
        f"Rows of one rank cannot be told from the best of them by {shown_as(rows['ranked_by'].iloc[0]).label}. "
        "In brackets, 95 % intervals over photographs and seeds."
    )
    if ((rows["seeds"] == 1) & (rows["trained_on"] != "")).any():
        yield "What is said of a row of one seed holds for that training; another may come out differently."
    inputs = rows["gmacs_input"].dropna().unique()
    devices = rows.loc[rows["latency_ms"].notna(), "device"].dropna().unique()
    if len(inputs):
        yield f"GMACs at {', '.join(inputs)} packed RAW{''.join(f'; latency on {name}' for name in devices)}."
    if rows["train_s"].notna().any():
        yield "train s: mean wall time of a training, on a machine that may have been busy with other work."
    for reason, blank in rows[rows["latency_note"].notna()].groupby("latency_note", sort=False):
        if reason != "not measured":
            yield f"No latency of {', '.join(blank['model'])}: {reason}."


def _heading(metric: str) -> str:
    return TABLE[metric].heading if metric in TABLE else metric


def _mean(row: Mapping[Any, Any], metric: str) -> str:
    pattern = f"{{:.{shown_as(metric).digits}f}}"
    low, high = row[f"{metric}_low"], row[f"{metric}_high"]
    interval = "" if pd.isna(low) else f" [{pattern.format(low)}, {pattern.format(high)}]"
    return show(row[metric], pattern) + interval


def print_board(board: pd.DataFrame, evaluations: pd.DataFrame) -> None:
    """Prints the leaderboard, and how well validation foretold the test."""
    if board.empty:
        say("No finished evaluations that fit. Start one: python -m ispbench model=metaisp data=mini")
        return
    print_sheets(sheets_of(board))
    if told := correlation(evaluations):
        say(told)
