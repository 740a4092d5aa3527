"""Training callbacks: averaged weights, a clean stop, image grids, curves."""

import signal
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint, RichProgressBar, WeightAveraging
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from ispbench.raw.demosaic import bilinear
from ispbench.training.signals import Terminated


class EMA(WeightAveraging):
    """Exponential moving average of the weights, used in validation, test and the saved model.

    The average warms up: its decay at step t is ``min(decay, (1 + t) / (10 + t))``, so that short trainings profit too.

    Args:
        decay: Of the average once warm.
    """

    def __init__(self, decay: float = 0.999) -> None:
        super().__init__(multi_avg_fn=self._average)
        self.decay = decay
        self._validating = False

    def _average(self, averaged: Any, current: Any, updates: Tensor | int) -> None:
        step = float(updates)
        if averaged[0].is_floating_point():  # each list is of one type
            torch._foreach_lerp_(averaged, current, 1 - min(self.decay, (1 + step) / (10 + step)))
        else:
            torch._foreach_copy_(averaged, current)

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Validates the average."""
        super().on_validation_epoch_start(trainer, pl_module)
        self._validating = True

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Returns to the trained weights."""
        super().on_validation_epoch_end(trainer, pl_module)
        self._validating = False

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Undoes the exchange if validation was broken off, before a checkpoint is saved."""
        if self._validating:
            self.on_validation_epoch_end(trainer, pl_module)


class StopBetweenSteps(pl.Callback):
    """Lets signals take effect between two steps, so that the saved state is whole.

    Ctrl-C and SIGTERM end the training, a second one at once. SIGUSR2 is how submitit learns that a Slurm job's time is
    nearly up: its handler puts the job into the queue again and exits.
    """

    def __init__(self) -> None:
        self._asked: int | None = None
        self._previous: dict[int, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Takes over the signals, also from Lightning."""
        taken = [signal.SIGINT, signal.SIGTERM]
        if callable(signal.getsignal(signal.SIGUSR2)):
            taken.append(signal.SIGUSR2)
        try:
            self._previous = {number: signal.signal(number, self._ask) for number in taken}
        except ValueError:  # not the main thread: nothing to take over
            self._previous = {}

    def on_train_batch_start(self, *_: Any, **__: Any) -> None:
        """Stops here if asked."""
        self._stop_if_asked()

    def on_validation_batch_start(self, *_: Any, **__: Any) -> None:
        """Stops here if asked."""
        self._stop_if_asked()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Gives the signals back."""
        self.teardown(trainer, pl_module, "fit")

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Gives the signals back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _ask(self, signum: int, frame: Any) -> None:
        again = self._asked not in (None, signal.SIGUSR2)
        self._asked = signum
        if again:
            self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        if self._asked == signal.SIGUSR2:
            # Slurm sends SIGTERM when it queues the job again, and the state is still to be saved.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            self._previous.pop(signal.SIGTERM)
            self._previous[signal.SIGUSR2](signal.SIGUSR2, None)
        elif self._asked is not None:
            raise Terminated if self._asked == signal.SIGTERM else KeyboardInterrupt


class Checkpoints(ModelCheckpoint):
    """Keeps the best checkpoint by validation and the last one, also the state at which a run broke off.

    Args:
        dirpath: Folder of the checkpoints.
        monitor: The logged value that decides which is best.
        mode: ``max`` or ``min``.
    """

    def __init__(self, dirpath: str, monitor: str = "val/psnr", mode: str = "max") -> None:
        super().__init__(
            dirpath=dirpath,
            filename="best",
            monitor=monitor,
            mode=mode,
            save_last=True,
            enable_version_counter=False,
        )

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Saves the last state at every validation, not only, as Lightning does, at those with a new best score."""
        super().on_validation_end(trainer, pl_module)
        if trainer.state.fn == "fit" and self._last_global_step_saved != trainer.global_step:
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Saves the state as ``last.ckpt``, to resume from."""
        if trainer.state.fn == "fit" and trainer.global_step:
            self._save_checkpoint(trainer, str(Path(str(self.dirpath)) / "last.ckpt"))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Remembers the best score also where the checkpoint came from another folder."""
        super().load_state_dict({**state_dict, "dirpath": self.dirpath})

    def _save_checkpoint(self, trainer: pl.Trainer, filepath: str) -> None:
        """Keeps the last checkpoint but one, should the last be broken. Lightning writes each whole or not at all."""
        last = Path(filepath)
        if last.name == "last.ckpt" and trainer.is_global_zero and last.is_file():
            last.replace(last.with_name("previous.ckpt"))
        super()._save_checkpoint(trainer, filepath)


class ProgressBar(RichProgressBar):
    """Lightning's rich progress bar with the step and the best validation score beside the running loss."""

    def _get_train_description(self, current_epoch: int) -> str:
        return f"Epoch {current_epoch}"

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """What stands at the right of the bar."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        metrics["step"] = f"{trainer.global_step}/{trainer.max_steps}"
        best = getattr(trainer.checkpoint_callback, "best_model_score", None)
        return metrics if best is None else {**metrics, "best": f"{best:.2f}"}


class ImageGrid(pl.Callback):
    """Draws the first images of validation and test: RAW preview, output, target, error map.

    Args:
        folder: Where ``val.png`` and ``test.png`` are written.
        images: How many rows.
        size: Larger images are cut to this side.
    """

    def __init__(self, folder: str, images: int = 6, size: int = 256) -> None:
        self.folder = Path(folder)
        self.images = images
        self.size = size
        self._rows: list[np.ndarray] = []

    def on_validation_epoch_start(self, *_: Any) -> None:
        """Starts afresh."""
        self._rows = []

    def on_test_epoch_start(self, *_: Any) -> None:
        """Starts afresh."""
        self._rows = []

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, *_: Any, **__: Any
    ) -> None:
        """Keeps rows until there are enough."""
        self._collect(outputs, batch)

    def on_test_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, *_: Any, **__: Any) -> None:
        """Keeps rows until there are enough."""
        self._collect(outputs, batch)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the grid of validation."""
        if not trainer.sanity_checking:
            self._write(trainer, "val")

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the grid of the test."""
        self._write(trainer, "test")

    def _collect(self, outputs: Tensor, batch: dict[str, Any]) -> None:
        for raw, image, target in zip(batch["raw"], outputs, batch["target"], strict=True):
            if len(self._rows) < self.images:
                self._rows.append(_row(raw.float(), image.float(), target, self.size))

    @rank_zero_only
    def _write(self, trainer: pl.Trainer, stage: str) -> None:
        if not self._rows:
            return
        grid = _stack(self._rows)
        self.folder.mkdir(parents=True, exist_ok=True)
        matplotlib.image.imsave(self.folder / f"{stage}.png", grid)
        for logger in trainer.loggers:
            if hasattr(logger, "log_image"):
                caption = "RAW preview | output | target | error x4"
                logger.log_image(f"{stage}/images", [grid], caption=[caption], step=trainer.global_step)
            elif isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image(f"{stage}/images", grid, trainer.global_step, dataformats="HWC")


def _row(raw: Tensor, image: Tensor, target: Tensor, size: int) -> np.ndarray:
    """One row of panels, shape (H, 4W, 3), uint8."""
    preview = bilinear(raw[None])[0].clamp(0, 1).pow(1 / 2.2)
    error = (image - target).abs().mul(4).mean(0, keepdim=True).expand(3, -1, -1)
    panels = [torch.nan_to_num(panel)[:, :size, :size].clamp(0, 1) for panel in (preview, image, target, error)]
    return torch.cat(panels, dim=2).permute(1, 2, 0).mul(255).round().byte().cpu().numpy()


def _stack(rows: list[np.ndarray]) -> np.ndarray:
    width = max(row.shape[1] for row in rows)
    return np.vstack([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows])


def keep_log(folder: Path) -> None:
    """Puts the CSV log of an interrupted training aside, as Lightning's logger would write over it."""
    log = folder / "metrics.csv"
    if log.is_file():
        log.rename(folder / f"metrics-{len(list(folder.glob('metrics-*.csv'))) + 1}.csv")


def draw_curves(folder: Path) -> None:
    """Plots training loss and validation scores of a run's CSV logs as ``curves.png``."""
    logs = [
        pd.read_csv(log) for log in (*sorted(folder.glob("metrics-*.csv")), folder / "metrics.csv") if log.is_file()
    ]
    if not logs:
        return
    table = pd.concat(logs)
    curves = [name for name in ("train/loss", "val/psnr", "val/ssim") if name in table]
    if not curves:
        return
    figure = matplotlib.figure.Figure(figsize=(4 * len(curves), 3), layout="constrained")
    for axis, name in zip(np.ravel(figure.subplots(1, len(curves))), curves, strict=True):
        points = table[["step", name]].dropna().drop_duplicates("step", keep="last").sort_values("step")
        axis.plot(points["step"], points[name], marker="." if len(points) < 20 else None)
        axis.set(title=name, xlabel="step")
        axis.grid(alpha=0.3)
    figure.savefig(folder / "curves.png", dpi=120)
