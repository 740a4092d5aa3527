"""Training curves, drawn from the CSV log."""

from pathlib import Path


def keep_log(folder: Path) -> None:
    """Renames the CSV log of an interrupted training, which Lightning's logger would overwrite."""
    log = folder / "metrics.csv"
    if log.is_file():
        log.rename(folder / f"metrics-{len(list(folder.glob('metrics-*.csv'))) + 1}.csv")


def draw_curves(folder: Path) -> None:
    """Plots training loss and validation scores of a run's CSV logs as ``curves.png``."""
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure

    logs = [
        pd.read_csv(log) for log in (*sorted(folder.glob("metrics-*.csv")), folder / "metrics.csv") if log.is_file()
    ]
    if not logs:
        return
    table = pd.concat(logs)
    curves = [name for name in ("train/loss", "val/psnr", "val/ssim") if name in table]
    if not curves:
        return
    figure = Figure(figsize=(4 * len(curves), 3), layout="constrained")
    for axis, name in zip(np.ravel(figure.subplots(1, len(curves))), curves, strict=True):
        points = table[["step", name]].dropna().drop_duplicates("step", keep="last").sort_values("step")
        axis.plot(points["step"], points[name], marker="." if len(points) < 20 else None)
        axis.set(title=name, xlabel="step")
        axis.grid(alpha=0.3)
    figure.savefig(folder / "curves.png", dpi=120)
