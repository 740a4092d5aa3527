"""Single evaluations as a table, one line each: what the leaderboard is made of."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

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
_CORRELATED = 5  # evaluations that a correlation needs


def columns(extra: Iterable[str] = ()) -> dict[str, tuple[str, ...]]:
    """The columns of the CSV, and where each stands in a joined record.

    Args:
        extra: Names of metrics that are in no table of ours.
    """
    metrics = {name: ("metrics", name) for name in (*TABLE, *extra)}
    return {**_BEFORE, **metrics, **_AFTER}


def evaluation_table(results: Path) -> pd.DataFrame:
    """One line a finished evaluation, best PSNR first within a protocol.

    Args:
        results: The results folder.

    Raises:
        UserError: for an unreadable record.
    """
    finished = [record for record in store.load(results) if record["status"] == "finished" and record["metrics"]]
    known = {*TABLE, "nonfinite"}
    wanted = columns(sorted({name for record in finished for name in record["metrics"]} - known))
    rows = [{column: _dig(record, path) for column, path in wanted.items()} for record in finished]
    table = pd.DataFrame(rows, columns=list(wanted))
    by = ["protocol", "split", "rules", "psnr", "id"]
    return table.sort_values(by, ascending=[True, True, False, False, True], ignore_index=True)


def _dig(record: dict[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = record
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def correlation(table: pd.DataFrame) -> str:
    """How well validation foretold the test, for tables of some length; empty for short ones."""
    both = table[["checkpoint_val_psnr", "psnr"]].astype(float).dropna()
    if len(both) < _CORRELATED or both.nunique().min() < 2:
        return ""
    value = float(both["checkpoint_val_psnr"].corr(both["psnr"]))
    return f"Validation and test PSNR of these weights correlate at {value:.2f} over {len(both)} evaluations."
