"""Training the discriminator of an adversarial loss, beside the network that Lightning trains."""

from typing import Any

import torch
from torch import Tensor

from ispbench.errors import UserError
from ispbench.losses.adversarial import AdversarialLoss
from ispbench.training.schedules import advance


class DiscriminatorTraining:
    """Trains a discriminator, one optimizer step per batch.

    Lightning does not know this optimizer. With Lightning's manual optimization it would, but then gradient clipping,
    accumulation and loss scaling of the generator would have to be written by hand, ``trainer.gradient_clip_val`` and
    ``trainer.accumulate_grad_batches`` would be refused, and each step of the discriminator would count as a training
    step of ``trainer.max_steps``.

    Args:
        term: The loss term whose discriminator is trained. Its parameters lie on their device already.

    Raises:
        UserError: on several devices.
    """

    def __init__(self, term: AdversarialLoss) -> None:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            raise UserError("loss.weights.gan trains on one device; set trainer.devices=1 and trainer.strategy=auto.")
        self.term = term
        self.optimizer = term.optimizer(term.discriminator.parameters())
        self.scheduler = term.scheduler(self.optimizer) if term.scheduler else None
        self.steps = 0

    def step(self, image: Tensor, target: Tensor) -> Tensor:
        """One step on a batch.

        Args:
            image: What the generator rendered, shape (N, 3, H, W); no gradient reaches it.
            target: Shape (N, 3, H, W).

        Returns:
            The discriminator's loss before the step.
        """
        discriminator = self.term.discriminator.train().requires_grad_(True)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.term.discriminator_loss(image, target)
        loss.backward()
        self.optimizer.step()
        discriminator.requires_grad_(False)  # the generator's backward pass leaves it alone
        self.steps += 1
        if self.scheduler is not None:
            advance(self.scheduler, self.steps)
        return loss.detach()

    def state_dict(self) -> dict[str, Any]:
        """What a resumed training needs beside the discriminator's weights, which the loss holds."""
        schedule = self.scheduler.state_dict() if self.scheduler is not None else None
        return {"steps": self.steps, "optimizer": self.optimizer.state_dict(), "scheduler": schedule}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` returned."""
        self.steps = state["steps"]
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scheduler is not None and state["scheduler"] is not None:
            self.scheduler.load_state_dict(state["scheduler"])
