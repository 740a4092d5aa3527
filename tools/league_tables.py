"""Writes the tables of the light league into the documentation, between markers: python -m tools.league_tables."""

import re
from functools import lru_cache
from pathlib import Path
from statistics import mean
from typing import Any

import pandas as pd

from ispbench.results.filters import Filters
from ispbench.results.image_scores import image_scores
from ispbench.results.leaderboard import leaderboard, ranked_rows
from ispbench.results.reading import read
from ispbench.results.rows import UNTRAINED, Row
from ispbench.results.sheets import Sheet, as_markdown, show
from ispbench.results.statistics import Bootstrap

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = (REPOSITORY / "README.md", REPOSITORY / "docs" / "results.md", REPOSITORY / "docs" / "metaisp.md")
STEPS = 1500
BUDGET = f"{STEPS:,} steps of 8 crops of 64x64"
ENCODING = 2.2  # the gamma by which RAW enters in `encoded_table`
SEARCH_STEPS = STEPS // 2  # of the trainings that the learning rates were chosen by
_BLOCK = re.compile(
    r"(<!-- league (\S+): written by python -m tools.league_tables -->\n).*?(<!-- end of league -->)", re.S
)
_HEADINGS = ("rank", "model", "seeds", "PSNR ↑", "color fitted ↑", "SSIM ↑", "params", "GMACs", "ms", "train s")


@lru_cache
def rows_of(track: str) -> pd.DataFrame:
    """The leaderboard's rows of a track, the best first, and beneath them those that learn nothing."""
    board = leaderboard(REPOSITORY / "results", filters=Filters(dataset="photos-v1", track=track))
    board = board[board["budget"].isin((BUDGET, UNTRAINED)) & board["trained_on"].isin(("", f"photos-v1-{track}"))]
    return board.sort_values(["budget", "psnr"], ascending=[True, False])


def table_of(track: str) -> str:
    """The same in Markdown."""
    return table(_HEADINGS, [_cells(row) for row in rows_of(track).to_dict("records")])


def table(headings: tuple[str, ...], lines: list[tuple[str, ...]], words: tuple[str, ...] = ("model",)) -> str:
    """A table in Markdown, without the line of its title; `words` are the headings of what is no number."""
    return as_markdown([Sheet("", headings, lines, frozenset(words))]).partition("\n")[2]


def _cells(row: dict[Any, Any]) -> tuple[str, ...]:
    learns = row["budget"] != UNTRAINED
    return (
        show(row["rank"], "{:d}") if learns else "",
        f"`{row['model']}`",
        str(row["seeds"]) if learns else "",
        f"{row['psnr']:.2f} [{row['psnr_low']:.2f}, {row['psnr_high']:.2f}]",
        show(row["psnr_color_fitted"], "{:.2f}"),
        show(row["ssim"], "{:.3f}"),
        show(row["params"], "{:,d}"),
        show(row["gmacs"], "{:.2f}"),
        show(row["latency_ms"], "{:.0f}"),
        show(row["train_s"], "{:.0f}"),
    )


def unseen_table() -> str:
    """Scores on the sensor that one training leaves out and the other has among its five, and the paired difference."""
    rows: dict[str, dict[bool, Row]] = {}
    for row in ranked_rows(REPOSITORY / "results", filters=Filters(dataset="photos-v1", track="unseen-camera*")):
        if row.ranking.budget == BUDGET:
            rows.setdefault(row.model, {})[row.ranking.trained_on == "photos-v1-many-cameras"] = row
    lines = []
    for model, pair in rows.items():
        if len(pair) < 2:
            continue
        scores = image_scores(REPOSITORY / "results", [pair[True], pair[False]], "psnr")
        if scores is None:
            continue
        seen, unseen = (scores.values[pair[known].key].mean() for known in (True, False))
        low, high = Bootstrap(scores).interval(pair[False].key, pair[True].key)
        cells = (f"`{model}`", f"{seen:.2f}", f"{unseen:.2f}", _difference(unseen - seen, low, high))
        lines.append((-unseen, cells))
    headings = ("model", "sensor among the five", "sensor never seen", "difference")
    return table(headings, [cells for _, cells in sorted(lines)])


def encoded_table(track: str) -> str:
    """The networks that take RAW as x^(1/2.2) or linear, all by the former, and how far behind the best they are."""
    filters = Filters(dataset="photos-v1", track=track, variants=True)
    rows = [
        row
        for row in ranked_rows(REPOSITORY / "results", filters=filters)
        if (row.ranking.budget, row.ranking.trained_on) == (BUDGET, f"photos-v1-{track}")
        and row.variant in ("", f"input_gamma={ENCODING}")
        and row.newest["config"]["model"].get("input_gamma") == ENCODING
    ]
    scores = image_scores(REPOSITORY / "results", rows, "psnr")
    assert scores is not None
    bootstrap, means = Bootstrap(scores), {row.key: scores.values[row.key].mean() for row in rows}
    best, *others = sorted(rows, key=lambda row: -means[row.key])
    lines = [(f"`{best.model}`", str(len(best.records)), f"{means[best.key]:.2f}", "")]
    for row in others:
        low, high = bootstrap.interval(row.key, best.key)
        difference = _difference(means[row.key] - means[best.key], low, high)
        lines.append((f"`{row.model}`", str(len(row.records)), f"{means[row.key]:.2f}", difference))
    return table(("model", "seeds", "PSNR ↑", "to the best"), lines)


def _difference(value: float, low: float, high: float) -> str:
    return f"{value:+.2f} [{low:+.2f}, {high:+.2f}]"


@lru_cache
def _trainings() -> list[dict[str, Any]]:
    """The trainings on photographs, read once for all tables."""
    paths = sorted((REPOSITORY / "results" / "trainings").glob("*-photos-s*.json"))
    return [read(path, "training") for path in paths]


def rates_of(track: str, steps: int) -> str:
    """Validation PSNR of each network by its learning rate, where several were tried: the mean and how many seeds."""
    found: dict[str, dict[float, list[float]]] = {}
    for record in _trainings():
        data, rate, done = record["config"]["data"], record["config"]["optimizer"]["lr"], record["training"]
        if not record["variant"] and (done.get("steps"), data["crop"], data["track"]) == (steps, 64, track):
            found.setdefault(record["model"], {}).setdefault(rate, []).append(done["val_psnr"])
    found = {model: rates for model, rates in sorted(found.items()) if len(rates) > 1}
    every_rate = sorted({rate for rates in found.values() for rate in rates})
    lines = [
        (f"`{model}`", *_rate_cells([rates.get(rate, []) for rate in every_rate])) for model, rates in found.items()
    ]
    return table(("model", *(f"{rate:g}" for rate in every_rate)), lines)


def _rate_cells(scores: list[list[float]]) -> list[str]:
    """The means over seeds, the best of those with the most seeds in bold."""
    most = max(map(len, scores))
    best = max((values for values in scores if len(values) == most), key=mean)
    cells = [
        f"{mean(values):.2f}{f' ({len(values)})' if len(values) > 1 else ''}" if values else "" for values in scores
    ]
    return [f"**{cell}**" if values is best else cell for cell, values in zip(cells, scores, strict=True)]


def with_tables(page: str) -> str:
    """A page with the text between its markers replaced."""

    def filled(block: re.Match[str]) -> str:
        kind, _, track = block[2].partition(":")
        makers = {
            "rows": lambda: table_of(track),
            "rates": lambda: rates_of(track, SEARCH_STEPS),
            "rates-in-full": lambda: rates_of(track, STEPS),
            "unseen": unseen_table,
            "encoded": lambda: encoded_table(track),
        }
        return f"{block[1]}{makers[kind]()}\n{block[3]}"

    return _BLOCK.sub(filled, page)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(with_tables(path.read_text()))
