"""Image grids of validation."""

from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from ispbench.raw.demosaic import bilinear


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
