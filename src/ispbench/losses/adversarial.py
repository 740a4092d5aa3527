"""A least-squares GAN as a loss term that brings its own discriminator.

References: Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", CVPR 2017 (PatchGAN);
Mao et al., "Least Squares Generative Adversarial Networks", ICCV 2017.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ispbench.errors import UserError
from ispbench.precision import full_precision
from ispbench.training.schedules import advance


class PatchGAN(nn.Sequential):
    """Judges overlapping patches: image (N, 3, H, W) to logits of about an eighth of its size, (N, 1, h, w).

    Args:
        width: Channels of the first layer, doubled by each further one up to eight times.
        layers: Strided layers; with 64 channels and 3 layers it has 2,765,633 parameters and patches of 70 x 70.
    """

    def __init__(self, width: int = 64, layers: int = 3) -> None:
        channels = [width * min(2**level, 8) for level in range(layers + 1)]
        modules: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for level in range(1, layers + 1):
            stride = 2 if level < layers else 1
            modules += [
                nn.Conv2d(channels[level - 1], channels[level], 4, stride, 1, bias=False),
                nn.BatchNorm2d(channels[level]),
                nn.LeakyReLU(0.2),
            ]
        super().__init__(*modules, nn.Conv2d(channels[-1], 1, 4, 1, 1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0, 0.02)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1, 0.02)


class AdversarialLoss(nn.Module):
    """How far the discriminator is from taking the image for a photograph.

    Every call first teaches the discriminator the batch by one step of its own optimizer, then judges the image with
    it. Discriminator and optimizer are saved with the run. It works in float32 on a single device.

    Args:
        discriminator: Image to logits.
        optimizer: Makes the discriminator's optimizer from its parameters.
        scheduler: Makes its learning-rate schedule, stepped once a call; None for a constant rate.
        mean_logit: Whether the logits of the whole batch are averaged before they are compared with 1 and 0, as
            MW-ISPNet does; else each is.
        share: Weight of each half, real and generated, in the discriminator's own loss.
    """

    learns = True

    def __init__(
        self,
        discriminator: nn.Module,
        optimizer: Callable[..., torch.optim.Optimizer],
        scheduler: Callable[..., Any] | None = None,
        mean_logit: bool = False,
        share: float = 0.5,
    ) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.optimizer = optimizer(discriminator.parameters())
        self.scheduler = scheduler(self.optimizer) if scheduler else None
        self.mean_logit = mean_logit
        self.share = share
        self.steps = 0

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """The generator's loss on a batch, after a step of the discriminator."""
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            raise UserError("loss.weights.gan trains on one device; set trainer.devices=1 and trainer.strategy=auto.")
        with full_precision(image):
            self._teach(image.detach().float(), target.float())
            self.discriminator.requires_grad_(False)
            return self._distance(image.float(), 1.0)

    def _teach(self, image: Tensor, target: Tensor) -> None:
        self.discriminator.train().requires_grad_(True)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.share * (self._distance(target, 1.0) + self._distance(image, 0.0))
        loss.backward()
        self.optimizer.step()
        self.steps += 1
        if self.scheduler is not None:
            advance(self.scheduler, self.steps)

    def _distance(self, image: Tensor, label: float) -> Tensor:
        logits = self.discriminator(image)
        return ((logits.mean() if self.mean_logit else logits) - label).square().mean()

    def get_extra_state(self) -> dict[str, Any]:
        """What beside the discriminator's tensors a resumed training needs."""
        schedule = self.scheduler.state_dict() if self.scheduler is not None else None
        return {"steps": self.steps, "optimizer": self.optimizer.state_dict(), "scheduler": schedule}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Takes up where `get_extra_state` was."""
        self.steps = state["steps"]
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        if self.scheduler is not None and state["scheduler"] is not None:
            self.scheduler.load_state_dict(state["scheduler"])
