"""Draws the light league, score against operations: python -m tools.league_plot writes docs/images/league.png."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tools.league_tables import REPOSITORY, rows_of

PLACE = REPOSITORY / "docs" / "images" / "league.png"
PANELS = {"one-camera": "One camera, daylight", "many-cameras": "Five cameras, 2900 to 7500 K"}
MARGIN = 14  # GMACs: where the names stand
GAP = 0.045  # of the panel's height, between two names


def draw(panel: Axes, rows: pd.DataFrame) -> None:
    """A dot a network with its interval; a line joins those that none beats at fewer operations."""
    rows = rows.sort_values("gmacs")
    reach = rows[["psnr_low", "psnr_high"]].sub(rows["psnr"], axis=0).abs().T
    panel.errorbar(
        rows["gmacs"], rows["psnr"], reach.to_numpy(), fmt="o", color="tab:blue", ecolor="0.85", markersize=4
    )
    best = rows[rows["psnr"] == rows["psnr"].cummax()]
    panel.step(best["gmacs"], best["psnr"], where="post", color="0.6", linestyle="--", linewidth=1)
    low, high = panel.get_ylim()
    height = high
    for _, row in rows.sort_values("psnr", ascending=False).iterrows():
        height = min(row["psnr"], height - GAP * (high - low))
        panel.plot((row["gmacs"], MARGIN), (row["psnr"], height), color="0.75", linewidth=0.5, zorder=0)
        weight = "bold" if row["model"] == "metaisp" else "normal"
        panel.text(MARGIN, height, f" {row['model']}", fontsize=8, va="center", weight=weight)
    panel.set(xscale="log", xlim=(None, MARGIN), xlabel="GMACs at 4x224x224", ylabel="PSNR, dB")
    panel.grid(color="0.93")


if __name__ == "__main__":
    figure = Figure(figsize=(10.5, 4.4), layout="constrained")
    for panel, (track, title) in zip(figure.subplots(1, 2), PANELS.items(), strict=True):
        draw(panel, rows_of(track))
        panel.set_title(title, fontsize=10)
    figure.savefig(PLACE, dpi=110)
