"""A least-squares GAN as a loss term with its discriminator.

References: Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", CVPR 2017 (PatchGAN);
Mao et al., "Least Squares Generative Adversarial Networks", ICCV 2017.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ispbench.precision import full_precision


class PatchGAN(nn.Sequential):
    """Classifies overlapping patches as real or generated.

    It maps an image (N, 3, H, W) to logits (N, 1, h, w) of about an eighth of its size.

    Args:
        width: Channels of the first layer, doubled by each further layer, up to eight times as many.
        layers: Strided layers; with 64 channels and 3 layers the network has 2,765,633 parameters and sees
            patches of 70 x 70 pixels.
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
    """The generator's loss: how far the discriminator's logits of the image are from the label "real", 1.

    The term only computes losses. `ispbench.training.discriminator.DiscriminatorTraining` trains the discriminator with
    the optimizer and schedule given here, before each step of the generator. Everything is computed in float32.

    Args:
        discriminator: Image to logits.
        optimizer: Makes the discriminator's optimizer from its parameters.
        scheduler: Makes its learning-rate schedule, advanced once per step; None for a constant rate.
        mean_logit: Whether the logits of the whole batch are averaged before they are compared with 1 or 0, as
            MW-ISPNet does; otherwise each logit is compared.
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
        self.discriminator = discriminator.requires_grad_(False)
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.mean_logit = mean_logit
        self.share = share

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """The generator's loss on a batch; the target does not count."""
        return self._distance(image, 1.0)

    def discriminator_loss(self, image: Tensor, target: Tensor) -> Tensor:
        """The discriminator's loss on a batch: targets are to be labeled 1, images 0; no gradient reaches the image."""
        return self.share * (self._distance(target, 1.0) + self._distance(image.detach(), 0.0))

    def _distance(self, image: Tensor, label: float) -> Tensor:
        with full_precision(image):
            logits = self.discriminator(image.float())
            return ((logits.mean() if self.mean_logit else logits) - label).square().mean()
