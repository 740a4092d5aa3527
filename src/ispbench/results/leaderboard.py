"""The leaderboard: finished runs as a table and as ``results/leaderboard.csv``."""

from pathlib import Path
from typing import Any

import pandas as pd

from ispbench.console import Column, say, table
from ispbench.errors import UserError
from ispbench.files import write_atomically
from ispbench.results.record import load_records

# Column of the CSV: where it stands in a record.
COLUMNS = {
    "protocol": ("protocol",),
    "rules": ("rules",),
    "kind": ("kind",),
    "simulated": ("simulated",),
    "model": ("model",),
    "variant": ("variant",),
    "psnr": ("metrics", "psnr"),
    "ssim": ("metrics", "ssim"),
    "lpips": ("metrics", "lpips"),
    "ciede2000": ("metrics", "ciede2000"),
    "ms_ssim": ("metrics", "ms_ssim"),
    "lpips_vgg": ("metrics", "lpips_vgg"),
    "ssim_sample": ("metrics", "ssim_sample"),
    "psnr_channel": ("metrics", "psnr_channel"),
    "psnr_luminance": ("metrics", "psnr_luminance"),
    "psnr_unrounded": ("metrics", "psnr_unrounded"),
    "ssim_unrounded": ("metrics", "ssim_unrounded"),
    "nonfinite": ("metrics", "nonfinite"),
    "n_images": ("data", "n_images"),
    "split": ("data", "split"),
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
    "seed": ("seed",),
    "steps": ("training", "steps"),
    "val_psnr": ("training", "val_psnr"),
    "wall_time_s": ("training", "wall_time_s"),
    "data_fingerprint": ("data", "fingerprint"),
    "config_hash": ("config_hash",),
    "checkpoint_hash": ("training", "checkpoint_hash"),
    "commit": ("git", "commit"),
    "dirty": ("git", "dirty"),
    "ispbench": ("ispbench",),
    "torch": ("versions", "torch"),
    "date": ("date",),
    "id": ("id",),
}


def leaderboard(runs: Path) -> pd.DataFrame:
    """One row a finished and tested run, best PSNR first within a protocol.

    Args:
        runs: Folder of the run records.

    Raises:
        UserError: for an unreadable record.
    """
    finished = [record for record in load_records(runs) if record["status"] == "finished" and record["metrics"]]
    rows = [{column: _dig(record, path) for column, path in COLUMNS.items()} for record in finished]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values(
        ["protocol", "rules", "psnr", "id"], ascending=[True, False, False, True], ignore_index=True
    )


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
    return leaderboard(results / "runs")


def write_file(board: pd.DataFrame, results: Path) -> Path:
    """Writes ``leaderboard.csv`` of a results folder."""
    path = results / "leaderboard.csv"
    write_atomically(path, board.to_csv(index=False))
    return path


def check_file(board: pd.DataFrame, results: Path) -> None:
    """Checks that ``leaderboard.csv`` is what `write_file` would write.

    Raises:
        UserError: if it is not.
    """
    path = results / "leaderboard.csv"
    if not path.is_file() or path.read_text() != board.to_csv(index=False):
        raise UserError(f"{path} is out of date; run: python -m ispbench leaderboard results={results}")


def print_tables(board: pd.DataFrame) -> None:
    """Prints one table for each protocol and rules version: rows of different ones do not compare."""
    if board.empty:
        say("No finished runs yet. Start one: python -m ispbench model=metaisp data=mini")
    for (protocol, rules), rows in board.groupby(["protocol", "rules"], sort=False):
        simulated = ", simulated sensor" if rows["simulated"].any() else ""
        inputs = rows["gmacs_input"].dropna().unique()
        devices = ", ".join(rows["device"].dropna().unique())
        columns = (
            Column("model"),
            Column("variant", fold=True, min_width=26 if rows["variant"].any() else None),
            *(Column(name, right=True) for name in ("seed", "steps", "PSNR ↑", "SSIM ↑", "LPIPS ↓")),
            *(Column(name, right=True) for name in ("params", "GMACs", "ms", "images")),
        )
        cells = [
            (
                row["model"],
                row["variant"] or "",
                row["seed"],
                _show(row["steps"], "{:.0f}"),
                _show(row["psnr"], "{:.2f}"),
                _show(row["ssim"], "{:.4f}"),
                _show(row["lpips"], "{:.4f}"),
                _show(row["params"], "{:,.0f}"),
                _show(row["gmacs"], "{:.2f}"),
                _show(row["latency_ms"], "{:.0f}"),
                _show(row["n_images"], "{:.0f}"),
            )
            for row in rows.to_dict("records")
        ]
        table(
            columns,
            cells,
            title=f"{protocol}{simulated}, rules {rules}",
            caption=f"Latency and GMACs at {', '.join(inputs)} packed RAW; {devices}." if len(inputs) else "",
            min_width=124,
        )


def _show(value: Any, pattern: str) -> str:
    return "-" if value is None or pd.isna(value) else pattern.format(value)
