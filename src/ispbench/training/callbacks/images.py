"""Image grids: RAW preview, output, target, error map."""

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


class ImageRows:
    """The first images of a split, one row each.

    Args:
        images: The number of rows.
        size: Larger images are cropped to this side, in pixels.
    """

    def __init__(self, images: int = 6, size: int = 256) -> None:
        self.images = images
        self.size = size
        self._rows: list[np.ndarray] = []

    def collect(self, outputs: Tensor, batch: dict[str, Any]) -> None:
        """Adds rows until there are enough.

        Args:
            outputs: sRGB, shape (N, 3, H, W).
            batch: The canonical batch.
        """
        for raw, image, target in zip(batch["raw"], outputs, batch["target"], strict=True):
            if len(self._rows) < self.images:
                self._rows.append(_row(raw.float(), image.float(), target, self.size))

    def grid(self) -> np.ndarray | None:
        """All rows as one image, shape (H, W, 3), uint8; None if there is none."""
        return _stack(self._rows) if self._rows else None

    def write(self, path: Path) -> None:
        """Writes the grid as a PNG, if there is one."""
        grid = self.grid()
        if grid is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            matplotlib.image.imsave(path, grid)


class ImageGrid(pl.Callback):
    """Draws the first images at every validation.

    Args:
        folder: Where ``val.png`` is written.
        images: The number of rows.
        size: Larger images are cropped to this side, in pixels.
    """

    decides_numbers = False

    def __init__(self, folder: str, images: int = 6, size: int = 256) -> None:
        self.folder = Path(folder)
        self.images = images
        self.size = size
        self._rows = ImageRows(images, size)

    def on_validation_epoch_start(self, *_: Any) -> None:
        """Starts a new grid."""
        self._rows = ImageRows(self.images, self.size)

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, *_: Any, **__: Any
    ) -> None:
        """Adds rows until there are enough."""
        self._rows.collect(outputs, batch)

    @rank_zero_only
    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the grid, and logs it with every logger that takes images."""
        grid = self._rows.grid()
        if trainer.sanity_checking or grid is None:
            return
        self._rows.write(self.folder / "val.png")
        for logger in trainer.loggers:
            if hasattr(logger, "log_image"):
                caption = "RAW preview | output | target | error x4"
                logger.log_image("val/images", [grid], caption=[caption], step=trainer.global_step)
            elif isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("val/images", grid, trainer.global_step, dataformats="HWC")


def _row(raw: Tensor, image: Tensor, target: Tensor, size: int) -> np.ndarray:
    """One row of panels, shape (H, 4W, 3), uint8."""
    preview = bilinear(raw[None])[0].clamp(0, 1).pow(1 / 2.2)
    error = (image - target).abs().mul(4).mean(0, keepdim=True).expand(3, -1, -1)
    panels = [torch.nan_to_num(panel)[:, :size, :size].clamp(0, 1) for panel in (preview, image, target, error)]
    return torch.cat(panels, dim=2).permute(1, 2, 0).mul(255).round().byte().cpu().numpy()


def _stack(rows: list[np.ndarray]) -> np.ndarray:
    width = max(row.shape[1] for row in rows)
    return np.vstack([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows])
