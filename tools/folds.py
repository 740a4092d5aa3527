"""Prints the folds of a cross-validation as one table.

python -m tools.folds rhid-sample-v1 [RESULTS]

A line is a setting: the mean over its folds' images, each once, with a 95 % interval by Student's t over these images.
"""

import sys
from pathlib import Path

import pandas as pd

from ispbench.results import store
from ispbench.results.comparison import student_interval
from ispbench.results.image_scores import read_scores
from ispbench.results.rows import Record, budget_of, ranking_of, rows_of
from tools.league_tables import table

_SCORES = {"psnr": "{:.2f}", "psnr_color_fitted": "{:.2f}", "ssim": "{:.3f}"}


def pooled(results: Path, dataset: str) -> pd.DataFrame:
    """The scores of all images of all folds, each with the setting that it belongs to."""
    records = [record for row in rows_of(store.load(results)) for record in row.records]
    tables = []
    for record in records:
        ranking = ranking_of(record, "psnr")
        if ranking.dataset == dataset and ranking.track.startswith("fold"):
            images = read_scores(results, record)
            assert images is not None, f"{record['id']} has no scores of images"
            tables.append(images.assign(target=record["protocol"].partition("/")[2], **_setting(record)))
    return pd.concat(tables, ignore_index=True)


def _setting(record: Record) -> dict[str, str]:
    setting = {"model": record["model"], "budget": budget_of(record), "trained on": "", "rate": ""}
    if record["training"].get("steps"):
        config = record["config"]
        setting |= {"trained on": config["data"]["targets"], "rate": f"{config['optimizer']['lr']:g}"}
    return setting


def table_of(scores: pd.DataFrame) -> str:
    """The table in Markdown, the best mean of each target first."""
    keys = ["target", "model", "budget", "trained on", "rate"]
    lines = []
    for setting, images in scores.groupby(keys):
        means = images.groupby("image")[list(_SCORES)].mean()  # over seeds
        low, high = student_interval(means["psnr"])
        cells = [pattern.format(means[name].mean()) for name, pattern in _SCORES.items()]
        cells[0] += f" [{low:.2f}, {high:.2f}]"
        lines.append((setting[0], -means["psnr"].mean(), (*map(str, setting), str(len(means)), *cells)))
    headings = (*keys, "images", "PSNR ↑", "color fitted ↑", "SSIM ↑")
    return table(headings, [cells for *_, cells in sorted(lines)], words=tuple(keys))


if __name__ == "__main__":
    print(table_of(pooled(Path((sys.argv[2:] or ["results"])[0]), sys.argv[1])))
