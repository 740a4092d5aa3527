"""The leaderboard: finished runs as a table and as ``results/leaderboard.csv``."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from ispbench.console import Column, say, table
from ispbench.errors import UserError
from ispbench.files import write_atomically
from ispbench.metrics.table import TABLE
from ispbench.results import store

# Column of the CSV: where it stands in a joined record, see `ispbench.results.store.load`. Metrics come from the one
# table, then whatever else the records hold.
_BEFORE = {
    "protocol": ("protocol",),
    "split": ("split",),
    "rules": ("rules",),
    "kind": ("kind",),
    "origin": ("origin",),
    "simulated": ("simulated",),
    "model": ("model",),
    "variant": ("variant",),
}
_AFTER = {
    "nonfinite": ("metrics", "nonfinite"),
    "n_images": ("data", "n_images"),
    "params": ("complexity", "params"),
    "params_used": ("complexity", "params_used"),
    "gmacs": ("complexity", "gmacs"),
    "gflops": ("complexity", "gflops"),
    "gmacs_input": ("complexity", "gmacs_input"),
    "gmacs_256x256": ("complexity", "gmacs_256x256"),
    "gmacs_fullhd": ("complexity", "gmacs_fullhd"),
    "fft_gflops": ("complexity", "fft_gflops"),
    "norm_gelements": ("complexity", "norm_gelements"),
    "elementwise_gelements": ("complexity", "elementwise_gelements"),
    "latency_ms": ("efficiency", "latency_ms"),
    "latency_iqr_ms": ("efficiency", "latency_iqr_ms"),
    "latency_input": ("efficiency", "latency_input"),
    "peak_memory_mb": ("efficiency", "peak_memory_mb"),
    "memory_kind": ("efficiency", "memory_kind"),
    "images_per_s": ("efficiency", "images_per_s"),
    "megapixels_per_s": ("efficiency", "megapixels_per_s"),
    "device": ("efficiency", "device"),
    "precision": ("efficiency", "precision"),
    "trained_on": ("training", "data"),
    "seed": ("seed",),
    "steps": ("training", "steps"),
    "checkpoint": ("checkpoint", "name"),
    "checkpoint_step": ("checkpoint", "step"),
    "checkpoint_val_psnr": ("checkpoint", "val_psnr"),
    "best_val_psnr": ("training", "val_psnr"),
    "wall_time_s": ("training", "wall_time_s"),
    "data_fingerprint": ("data", "fingerprint"),
    "training_key": ("training_key",),
    "weights": ("weights",),
    "commit": ("git", "commit"),
    "training_commit": ("training", "commit"),
    "dirty": ("git", "dirty"),
    "ispbench": ("ispbench",),
    "torch": ("versions", "torch"),
    "date": ("date",),
    "id": ("id",),
}
_PRINTED = ("psnr", "ssim", "lpips")
_CORRELATED = 5  # rows that a correlation needs
_MOST_ROWS = 100  # of a printed table; the CSV has them all


def columns(extra: Iterable[str] = ()) -> dict[str, tuple[str, ...]]:
    """The columns of the CSV, and where each stands in a joined record.

    Args:
        extra: Names of metrics that are in no table of ours.
    """
    metrics = {name: ("metrics", name) for name in (*TABLE, *extra)}
    return {**_BEFORE, **metrics, **_AFTER}


def leaderboard(results: Path) -> pd.DataFrame:
    """One row a finished evaluation, best PSNR first within a protocol.

    Args:
        results: The results folder.
    """
    finished = [record for record in store.load(results) if record["status"] == "finished" and record["metrics"]]
    known = {*TABLE, "nonfinite"}
    wanted = columns(sorted({name for record in finished for name in record["metrics"]} - known))
    rows = [{column: _dig(record, path) for column, path in wanted.items()} for record in finished]
    board = pd.DataFrame(rows, columns=list(wanted))
    by = ["protocol", "split", "rules", "psnr", "id"]
    return board.sort_values(by, ascending=[True, True, False, False, True], ignore_index=True)


def _dig(record: dict[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = record
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def leaderboard_of(results: Path) -> pd.DataFrame:
    """The leaderboard of a results folder.

    Raises:
        UserError: if there is no such folder.
    """
    if not results.is_dir():
        raise UserError(f"There is no folder {results}; run a training first, or give results=DIR.")
    return leaderboard(results)


def write_file(board: pd.DataFrame, results: Path) -> Path:
    """Writes ``leaderboard.csv`` of a results folder."""
    path = results / "leaderboard.csv"
    write_atomically(path, board.to_csv(index=False))
    return path


def check_file(board: pd.DataFrame, results: Path) -> None:
    """Checks that ``leaderboard.csv`` is what `write_file` would write, and that all records are sound.

    Raises:
        UserError: if it is not, or some are not.
    """
    if faults := store.survey(results)[1]:
        more = f" There are {len(faults) - 1} further faults." if len(faults) > 1 else ""
        raise UserError(f"{faults[0]}{more}")
    path = results / "leaderboard.csv"
    if not path.is_file() or path.read_text(encoding="utf-8") != board.to_csv(index=False):
        raise UserError(f"{path} is out of date; run: python -m ispbench leaderboard results={results}")


def print_tables(board: pd.DataFrame) -> None:
    """Prints one table for each protocol, split and rules version: rows of different ones do not compare."""
    if board.empty:
        say("No finished evaluations yet. Start one: python -m ispbench model=metaisp data=mini")
    for (protocol, split, rules), group in board.groupby(["protocol", "split", "rules"], sort=False):
        rows = group.head(_MOST_ROWS)
        simulated = ", simulated sensor" if rows["simulated"].any() else ""
        inputs = rows["gmacs_input"].dropna().unique()
        devices = ", ".join(rows["device"].dropna().unique())
        shown = (
            Column("model"),
            Column("variant", fold=True, min_width=26 if rows["variant"].any() else None),
            *(Column(name, right=True) for name in ("seed", "steps", *(TABLE[name].heading for name in _PRINTED))),
            *(Column(name, right=True) for name in ("params", "GMACs", "ms", "images")),
        )
        cells = [
            (
                row["model"],
                row["variant"] or "",
                _show(row["seed"], "{:.0f}"),
                _show(row["steps"], "{:.0f}"),
                *(_show(row[name], f"{{:.{TABLE[name].digits}f}}") for name in _PRINTED),
                _show(row["params"], "{:,.0f}"),
                _show(row["gmacs"], "{:.2f}"),
                _show(row["latency_ms"], "{:.0f}"),
                _show(row["n_images"], "{:.0f}"),
            )
            for row in rows.to_dict("records")
        ]
        captions = [f"Latency and GMACs at {', '.join(inputs)} packed RAW; {devices}."] if len(inputs) else []
        if len(rows) < len(group):
            captions.append(f"{len(group) - len(rows):,} further rows are in the CSV.")
        if correlation := _correlation(group):
            captions.append(correlation)
        title = f"{protocol}{'' if split == 'test' else f', {split} split'}{simulated}, rules {rules}"
        table(shown, cells, title=title, caption=" ".join(captions), min_width=124)


def print_breakdown(results: Path, by: str, metric: str = "psnr") -> None:
    """Prints the means of a metric by what the dataset knows of its images, one table a protocol.

    Args:
        results: The results folder.
        by: camera, light, iso, photo, or another column of the scores.
        metric: Its name.

    Raises:
        UserError: if no evaluation is broken down so.
    """
    finished = [record for record in store.load(results) if record["status"] == "finished" and record["metrics"]]
    found = [record for record in finished if metric in record["metrics"] and record.get("by", {}).get(by)]
    if not found:
        known = sorted({name for record in finished for name in record.get("by", {})})
        raise UserError(
            f"No evaluation in {results} has {metric} by {by}; they are broken down by {', '.join(known) or 'nothing'}."
        )
    entry = TABLE.get(metric)
    pattern = f"{{:.{entry.digits if entry else 4}f}}"
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for record in found:
        groups.setdefault((record["protocol"], record["split"], record["rules"]), []).append(record)
    for (protocol, split, rules), rows in sorted(groups.items()):
        values = list(dict.fromkeys(value for row in rows for value in row["by"][by]))
        shown = [Column("model"), Column("variant", fold=True), Column("seed", right=True), Column("all", right=True)]
        shown += [Column(value, right=True) for value in values]
        rows.sort(key=lambda row: row["metrics"][metric], reverse=entry is None or entry.higher_is_better)
        cells = [
            (
                row["model"],
                row["variant"],
                _show(row["seed"], "{:.0f}"),
                pattern.format(row["metrics"][metric]),
                *(_show(row["by"][by].get(value, {}).get(metric), pattern) for value in values),
            )
            for row in rows
        ]
        title = f"{protocol}{'' if split == 'test' else f', {split} split'}, {metric} by {by}, rules {rules}"
        table(shown, cells, title=title, min_width=60 + sum(max(len(value), 6) + 3 for value in values))


def _correlation(rows: pd.DataFrame) -> str:
    """How well validation foretold the test, for tables of some length; empty for short ones."""
    both = rows[["checkpoint_val_psnr", "psnr"]].astype(float).dropna()
    if len(both) < _CORRELATED or both.nunique().min() < 2:
        return ""
    value = float(both["checkpoint_val_psnr"].corr(both["psnr"]))
    return f"Validation and test PSNR of these weights correlate at {value:.2f} over {len(both)} rows."


def _show(value: Any, pattern: str) -> str:
    if isinstance(value, str | list | dict | bool):  # in a record that was edited by hand
        return str(value)
    return "-" if value is None or pd.isna(value) else pattern.format(value)
