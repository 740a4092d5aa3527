"""Exponential moving average of the weights."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor


class EMA(WeightAveraging):
    """Exponential moving average of the weights, used in validation, test and the saved model.

    The average warms up: its decay at step t is ``min(decay, (1 + t) / (10 + t))``, which helps short trainings.

    Args:
        decay: The decay after the warm-up.
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
        """Switches to the averaged weights."""
        super().on_validation_epoch_start(trainer, pl_module)
        self._validating = True

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Switches back to the trained weights."""
        super().on_validation_epoch_end(trainer, pl_module)
        self._validating = False

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Switches back if validation was interrupted, before a checkpoint is saved."""
        if self._validating:
            self.on_validation_epoch_end(trainer, pl_module)
