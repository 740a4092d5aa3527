"""Losses on the features of pretrained networks: VGG and LPIPS."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispbench.errors import UserError
from ispbench.metrics.backbones import WeightsUnavailableError, features
from ispbench.metrics.perceptual import LPIPS


class PerceptualLoss(nn.Module):
    """Distance between VGG features (Johnson et al., ECCV 2016).

    Args:
        network: vgg19 or vgg16.
        layer: Index of the last layer to use in torchvision's ``features``; 35 is relu5_4 of VGG19.
        distance: ``l1`` or ``l2``.
        scale: Factor by which to resize the images first.
        normalize: Whether to normalize them by ImageNet's mean and standard deviation first.
        divisor: What to divide the distance by.
        weights: File of the network's ImageNet weights; None to search for them.

    Raises:
        UserError: for an unknown choice or when no weights are found.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: str = "vgg19",
        layer: int = 35,
        distance: str = "l1",
        scale: float = 1.0,
        normalize: bool = True,
        divisor: float = 1.0,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        if network not in ("vgg16", "vgg19"):
            raise UserError(f"The network of a perceptual loss is vgg16 or vgg19, not {network!r}.")
        if distance not in ("l1", "l2"):
            raise UserError(f"The distance of a perceptual loss is l1 or l2, not {distance!r}.")
        try:
            self.features = features(network, weights)[: layer + 1]
        except WeightsUnavailableError as error:
            raise UserError(
                f"loss.weights.vgg needs pretrained features: {error}. Set loss.terms.vgg.weights."
            ) from error
        self.smallest = 2 ** sum(isinstance(module, nn.MaxPool2d) for module in self.features)
        self.distance = F.l1_loss if distance == "l1" else F.mse_loss
        self.scale = scale
        self.normalize = normalize
        self.divisor = divisor
        self.register_buffer("mean", torch.tensor((0.485, 0.456, 0.406)).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor((0.229, 0.224, 0.225)).view(1, 3, 1, 1))

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch.

        Raises:
            UserError: for images so small that the network's pooling layers would leave nothing.
        """
        if min(image.shape[-2:]) * self.scale < self.smallest:
            raise UserError(
                f"loss.weights.vgg needs images of {self.smallest / self.scale:.0f} pixels a side at every scale it "
                f"weighs, not {min(image.shape[-2:])}; raise data.crop."
            )
        with torch.no_grad():
            target_features = self._embed(target)
        return self.distance(self._embed(image), target_features) / self.divisor

    def _embed(self, image: Tensor) -> Tensor:
        if self.scale != 1:
            image = F.interpolate(image, scale_factor=self.scale, mode="bilinear", align_corners=False)
        return self.features((image - self.mean) / self.std if self.normalize else image)


class LPIPSLoss(nn.Module):
    """LPIPS as a loss.

    Args:
        network: ``alex`` or ``vgg``.
        weights: File of the backbone's ImageNet weights; None to search for them.

    Raises:
        UserError: when no weights are found.
    """

    def __init__(self, network: str = "vgg", weights: str | None = None) -> None:
        super().__init__()
        try:
            self.lpips = LPIPS(network, weights)
        except WeightsUnavailableError as error:
            raise UserError(
                f"loss.weights.lpips needs pretrained features: {error}. Set loss.terms.lpips.weights."
            ) from error

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch."""
        return self.lpips(image, target).mean()
