"""The scores of validation, which select the checkpoint."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from ispbench.metrics.collection import ImageScores
from ispbench.metrics.scoring import load, score_images
from ispbench.metrics.table import choose


class ValidationScores(pl.Callback):
    """Scores validation against the original targets and logs the means as ``val/psnr`` and so on.

    Args:
        metrics: Names of the metric table.
        extra: Metrics of the user's own, see `ispbench.metrics.table.choose`.

    Raises:
        UserError: for an unknown metric.
    """

    decides_numbers = False

    def __init__(self, metrics: Sequence[str], extra: Mapping[str, Any] | None = None) -> None:
        known = choose(metrics, extra)
        self._metrics = {name: known[name] for name in metrics}
        self._loaded, _ = load(self._metrics)
        self._table = ImageScores()

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Empties the table."""
        self._table = ImageScores().to(pl_module.device)
        self._loaded, _ = load(self._metrics, pl_module.device)

    @torch.no_grad()
    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, *_: Any, **__: Any
    ) -> None:
        """Scores a batch."""
        images = outputs.detach().float()
        rows = score_images(self._metrics, self._loaded, images, batch["target"].float())
        self._table.update(batch["index"], rows)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Logs the means, the same on every device; NaN if an output held NaN or Inf."""
        _, rows = self._table.compute()
        means = rows.mean(0, dtype=np.float64).tolist()
        for name, value in zip(self._metrics, means, strict=True):
            pl_module.log(f"val/{name}", value, prog_bar=name == "psnr", sync_dist=True)
