"""The one Lightning module: trains and tests any ISP with any loss, optimizer and schedule."""

import random
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor

from ispbench.checkpoints import ABOUT
from ispbench.errors import UserError
from ispbench.losses.weighted_sum import WeightedSum
from ispbench.models.interface import ISPModel
from ispbench.training.discriminator import DiscriminatorTraining
from ispbench.training.joint_alignment import JointAlignment
from ispbench.training.schedules import advance


class ISPModule(pl.LightningModule):
    """An ISP in training.

    Args:
        model: The ISP.
        loss: The training loss; None for a module that only renders.
        optimizer: Makes the optimizer from the parameters to train.
        scheduler: Makes the learning-rate schedule of an optimizer, advanced once per training step; None for a
            constant rate. A scheduler of ``torch`` or of ``timm``.
        compile: Whether to compile the network with ``torch.compile``.
        about: The model's name and options, plain values, to be kept in its checkpoints.
        alignment: Aligns the targets of every step and learns along; None for the targets as they are.

    Attributes:
        skip_epoch: A callback sets it in ``on_train_batch_start`` to end the running epoch before its next batch.
    """

    skip_epoch = False

    def __init__(
        self,
        model: ISPModel,
        loss: WeightedSum | None = None,
        optimizer: Callable[..., torch.optim.Optimizer] | None = None,
        scheduler: Callable[..., Any] | None = None,
        compile: bool = False,
        about: dict[str, Any] | None = None,
        alignment: JointAlignment | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.loss = loss
        self.alignment = alignment
        self._optimizer = optimizer
        self._scheduler = scheduler
        self._random_state: dict[str, Any] | None = None
        self._about = about
        self._discriminators: dict[str, DiscriminatorTraining] = {}
        self._discriminator_states: dict[str, Any] = {}
        if compile:
            self.model.net.compile()

    def on_train_batch_start(self, batch: dict[str, Any], batch_idx: int) -> int | None:
        """Restores the random state of a resumed training; ends the epoch if a callback asked for that."""
        if self._random_state is not None:
            _set_random_state(self._random_state)
            self._random_state = None
        skip, self.skip_epoch = self.skip_epoch, False
        return -1 if skip else None

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """The loss of a batch, on its valid pixels if it has a mask.

        With an adversarial term, its discriminator first takes a step on the same batch.
        """
        assert self.loss is not None
        target, mask = batch["target"], batch.get("mask")
        alignment_loss: Tensor | None = None
        if self.alignment is not None:
            target, mask, alignment_loss = self.alignment(batch["raw"], target)
        outputs = self.model.forward_scales(batch["raw"])
        for name, discriminator in self._discriminators.items():
            if name in self.loss.weights:
                image = outputs[0].detach()
                image = image if mask is None else self.loss.keep_valid(image, target, mask)
                step_loss = discriminator.step(image, self.loss.fit(target, image))
                self.log(f"train/{name}_discriminator", step_loss)
        learned = [value for value in self.model.parameters() if value.requires_grad] if self.loss.balance else []
        values = self.loss(outputs, target, learned, mask)
        if alignment_loss is not None:
            values = {**values, "loss": values["loss"] + alignment_loss, "alignment": alignment_loss.detach()}
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
        """Renders a batch; callbacks score the images."""
        return self._render(batch)

    def _render(self, batch: dict[str, Any]) -> Tensor:
        """The image at the target's size. Only a coarse level of a pyramid network has to be upsampled."""
        image, size = self.model(batch["raw"]), batch["target"].shape[-2:]
        return image if image.shape[-2:] == size else F.interpolate(image, size, mode="bilinear", align_corners=False)

    def configure_optimizers(self) -> Any:
        """The optimizer and schedule of the network and a joint alignment; those of a discriminator stay with it."""
        assert self._optimizer is not None
        learners: dict[str, Any] = dict(self.loss.learners) if self.loss is not None else {}
        self._discriminators = {name: DiscriminatorTraining(term) for name, term in learners.items()}
        for name in self._discriminators.keys() & self._discriminator_states.keys():
            self._discriminators[name].load_state_dict(self._discriminator_states[name])
        along = [] if self.alignment is None else list(self.alignment.parameters())
        optimizer = self._optimizer([value for value in (*self.model.parameters(), *along) if value.requires_grad])
        if self._scheduler is None:
            return optimizer
        return [optimizer], [{"scheduler": self._scheduler(optimizer), "interval": "step"}]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the random state, the optimizers of discriminators, and which model this is."""
        checkpoint["random_state"] = self._random_state or _get_random_state()  # not yet restored before the first step
        checkpoint["discriminators"] = {name: one.state_dict() for name, one in self._discriminators.items()}
        if self._about is not None:
            checkpoint[ABOUT] = self._about

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the random state for the next step, and what discriminators need until their optimizers exist."""
        self._random_state = checkpoint.get("random_state")
        self._discriminator_states = checkpoint.get("discriminators", {})

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Advances a schedule of torch or of timm."""
        advance(scheduler, self.global_step)


def _get_random_state() -> dict[str, Any]:
    """The state of the generators that layers and losses draw from; the data has its own."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"python": random.getstate(), "torch": torch.get_rng_state(), "cuda": cuda}


def _set_random_state(state: dict[str, Any]) -> None:
    random.setstate(state["python"])
    torch.set_rng_state(state["torch"])
    if len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
