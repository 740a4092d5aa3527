"""Writes the tables of the light league into the documentation, between markers: python -m tools.league_tables."""

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from ispbench.results.filters import Filters
from ispbench.results.leaderboard import leaderboard
from ispbench.results.rows import UNTRAINED
from ispbench.results.sheets import Sheet, as_markdown, show

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = (REPOSITORY / "README.md", REPOSITORY / "docs" / "results.md")
BUDGET = "1,500 steps of 8 crops of 64x64"
SEARCH_STEPS = 750  # of the trainings that the learning rates were chosen by
_BLOCK = re.compile(
    r"(<!-- league (\S+): written by python -m tools.league_tables -->\n).*?(<!-- end of league -->)", re.S
)
_HEADINGS = ("rank", "model", "seeds", "PSNR ↑", "color fitted ↑", "SSIM ↑", "params", "GMACs", "ms", "train s")


@lru_cache
def table_of(track: str) -> str:
    """A track's rows in Markdown, the best first, and beneath them those that learn nothing."""
    board = leaderboard(REPOSITORY / "results", filters=Filters(dataset="photos-v1", track=track))
    rows = board[board["budget"].isin((BUDGET, UNTRAINED))].to_dict("records")
    rows.sort(key=lambda row: (row["budget"] == UNTRAINED, -row["psnr"]))
    return _markdown(_HEADINGS, [_cells(row) for row in rows])


def _markdown(headings: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    """A table without the line of its title."""
    return as_markdown([Sheet("", headings, lines, frozenset({"model"}))]).partition("\n")[2]


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
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


def rates() -> str:
    """Validation PSNR of each network by its learning rate, at half of the budget."""
    found: dict[str, dict[float, float]] = {}
    for path in sorted((REPOSITORY / "results" / "trainings").glob("*-photos-s0-*.json")):
        record = json.loads(path.read_text())
        if record["training"].get("steps") == SEARCH_STEPS and record["config"]["data"]["crop"] == 64:
            found.setdefault(record["model"], {})[record["config"]["optimizer"]["lr"]] = record["training"]["val_psnr"]
    lines = []
    for model, scores in sorted(found.items()):
        cells = [
            f"**{value:.2f}**" if value == max(scores.values()) else f"{value:.2f}"
            for _, value in sorted(scores.items())
        ]
        lines.append((f"`{model}`", *cells))
    headings = ("model", *(f"{rate:g}" for rate in sorted(next(iter(found.values())))))
    return _markdown(headings, lines)


def with_tables(page: str) -> str:
    """A page with the text between its markers replaced."""

    def filled(block: re.Match[str]) -> str:
        return f"{block[1]}{rates() if block[2] == 'rates' else table_of(block[2])}\n{block[3]}"

    return _BLOCK.sub(filled, page)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(with_tables(path.read_text()))
