"""The one Lightning module: trains and tests any ISP with any loss, optimizer and schedule."""

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from timm.scheduler.scheduler import Scheduler as TimmScheduler
from torch import Tensor

from ispbench.errors import UserError
from ispbench.models.interface import ISPModel
from ispbench.training.losses import WeightedSum


class ISPModule(pl.LightningModule):
    """An ISP in training.

    Args:
        model: The ISP.
        loss: What it learns to lessen.
        optimizer: Makes the optimizer of some parameters.
        scheduler: Makes the learning-rate schedule of an optimizer, stepped once a training step; None for a constant
            rate. A scheduler of ``torch`` or of ``timm``.
        compile: Whether the network is compiled by ``torch.compile``.
    """

    def __init__(
        self,
        model: ISPModel,
        loss: WeightedSum | None = None,
        optimizer: Callable[..., torch.optim.Optimizer] | None = None,
        scheduler: Callable[..., Any] | None = None,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        self.loss = loss
        self._optimizer = optimizer
        self._scheduler = scheduler
        if compile:
            self.model.net.compile()

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """The loss of a batch."""
        assert self.loss is not None
        values = self.loss(self.model.forward_scales(batch["raw"]), batch["target"])
        if not torch.isfinite(values["loss"]):
            raise UserError(
                f"The training loss became {values['loss'].item()} at step {self.global_step}; lower optimizer.lr or "
                "trainer.gradient_clip_val. The checkpoints written so far are kept."
            )
        loss = values.pop("loss")
        self.log("train/loss", loss.detach(), prog_bar=True)
        self.log_dict({f"train/{name}": value for name, value in values.items()})
        return loss

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Renders; the callbacks score."""
        return self.model(batch["raw"])

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Renders; the callbacks score."""
        return self.model(batch["raw"])

    def configure_optimizers(self) -> Any:
        """Optimizer and schedule."""
        assert self._optimizer is not None
        optimizer = self._optimizer([value for value in self.model.parameters() if value.requires_grad])
        if self._scheduler is None:
            return optimizer
        return [optimizer], [{"scheduler": self._scheduler(optimizer), "interval": "step"}]

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Steps a schedule of torch or of timm."""
        if isinstance(scheduler, TimmScheduler):
            scheduler.step_update(num_updates=self.global_step)
        else:
            scheduler.step()
