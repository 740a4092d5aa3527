"""``ispbench data stats``: sizes, levels, colors and brightness of each split."""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ispbench.data.datamodule import SPLITS, PairedDataModule
from ispbench.data.parallel import read_pairs
from ispbench.data.validation.check import spread
from ispbench.data.validation.plausibility import correlation, raw_luminance, target_luminance
from ispbench.errors import UserError
from ispbench.raw.bayer import PLANES, pack

_QUANTILES = (0.001, 0.5, 0.999)


def stats(data: PairedDataModule, limit: int | None = 1000) -> dict[str, dict[str, Any]]:
    """Measures a dataset.

    Args:
        data: The dataset.
        limit: How many pairs to read of each split, evenly spread; None for all.

    Returns:
        For each split: the numbers of pairs and of those read; sizes; RAW values in DN (extremes, and quantiles as
        medians over images); the mean of each RAW plane on the canonical scale; the fractions of values below black and
        at white; the mean of the targets in sRGB, 0 to 255; the median luminance correlation of the pairs.

    Raises:
        UserError: naming a file that cannot be read.
    """
    result = {}
    with Progress() as bar:
        for split in SPLITS:
            source = data.source(split)
            indices = spread(len(source), limit)
            rows = []
            for _, pair in bar.track(read_pairs(source, indices), len(indices), description=f"Reading {split}"):
                if isinstance(pair, UserError):
                    raise pair
                rows.append(_measure(*pair, data.black_level, data.white_level))
            result[split] = {"pairs": len(source), "read": len(rows)} | (_summary(rows) if rows else {})
    return result


def _measure(mosaic: np.ndarray, target: np.ndarray, black: float, white: float) -> dict[str, Any]:
    planes = pack(mosaic).reshape(4, -1).mean(axis=1)
    return {
        "size": f"{mosaic.shape[1]}x{mosaic.shape[0]}",
        "min": int(mosaic.min()),
        "max": int(mosaic.max()),
        "quantiles": np.quantile(mosaic, _QUANTILES),
        "planes": (planes - black) / (white - black),
        "below": float(np.mean(mosaic < black)),
        "white": float(np.mean(mosaic >= white)),
        "target": target.reshape(-1, 3).mean(axis=0),
        "match": correlation(raw_luminance(mosaic, black, white), target_luminance(target)),
    }


def _summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    mean = {key: np.mean([row[key] for row in rows], axis=0) for key in ("planes", "below", "white", "target")}
    low, middle, high = np.median([row["quantiles"] for row in rows], axis=0).tolist()
    matches = [row["match"] for row in rows if not np.isnan(row["match"])]
    return {
        "sizes": dict(Counter(row["size"] for row in rows).most_common()),
        "raw_min": min(row["min"] for row in rows),
        "raw_p0.1": low,
        "raw_median": middle,
        "raw_p99.9": high,
        "raw_max": max(row["max"] for row in rows),
        **{f"raw_{plane}": round(float(value), 4) for plane, value in zip(PLANES, mean["planes"], strict=True)},
        "below_black": round(float(mean["below"]), 5),
        "at_white": round(float(mean["white"]), 5),
        **{f"target_{c}": round(float(value), 1) for c, value in zip("RGB", mean["target"], strict=True)},
        "luminance_correlation": round(float(np.median(matches)), 3) if matches else None,
    }


def run(data: PairedDataModule, options: argparse.Namespace) -> None:
    """``ispbench data stats``: prints a table."""
    measured = stats(data, options.limit)
    table = Table(title=f"{data.protocol}: black {data.black_level:g}, white {data.white_level:g} DN")
    table.add_column("", no_wrap=True)
    for split in measured:
        table.add_column(split, justify="right")
    for key in dict.fromkeys(key for split in measured.values() for key in split):
        table.add_row(key, *(_show(split.get(key)) for split in measured.values()))
    Console().print(table)
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(measured, indent=1) + "\n")


def _show(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{size} ({count})" for size, count in list(value.items())[:3])
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.5g}"
