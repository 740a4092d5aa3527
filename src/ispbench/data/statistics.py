"""What a dataset is in numbers: sizes, levels, colors and brightness of each split."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.progress import Progress

from ispbench.data import SPLITS
from ispbench.data.datamodule import PairedDataModule
from ispbench.data.parallel import read_pairs, spread
from ispbench.data.validation.plausibility import correlation, raw_luminance, target_luminance
from ispbench.errors import UserError
from ispbench.raw.bayer import PLANES, pack
from ispbench.raw.levels import normalize_raw

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
        "planes": normalize_raw(planes, black, white),
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
