"""Training losses, and their weighted sum as configured in ``conf/loss/``.

Every term takes an image and its target, shape (N, 3, H, W), sRGB; the image may leave [0, 1] in training.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from hydra.utils import instantiate
from torch import Tensor, nn
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from ispbench.errors import UserError
from ispbench.metrics.backbones import WeightsUnavailableError, features
from ispbench.metrics.quality import LPIPS, ssim
from ispbench.precision import full_precision


class Charbonnier(nn.Module):
    """Mean of ``sqrt(d^2 + eps^2)`` (Charbonnier et al., ICIP 1994)."""

    def __init__(self, eps: float = 1e-3) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch."""
        return torch.sqrt((image - target).square() + self.eps**2).mean()


class SSIMLoss(nn.Module):
    """``1 - SSIM``, as `ispbench.metrics.quality.ssim`."""

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch, in [0, 2]."""
        with full_precision(image):
            return 1 - ssim(image, target).mean()


class MSSSIMLoss(nn.Module):
    """``1 - MS-SSIM`` over five scales; images of at least 176 pixels a side."""

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch."""
        if min(image.shape[-2:]) <= 160:
            raise UserError(
                f"loss.weights.ms_ssim needs patches above 160 pixels, not {min(image.shape[-2:])}; raise data.crop."
            )
        with full_precision(image):
            value = multiscale_structural_similarity_index_measure(
                image.float(), target, kernel_size=11, sigma=1.5, data_range=1.0, normalize="relu"
            )
        return 1 - value


class PerceptualLoss(nn.Module):
    """Distance of VGG features (Johnson et al., ECCV 2016).

    Args:
        network: vgg19 or vgg16.
        layer: Index of the last layer used in torchvision's ``features``; 35 is relu5_4 of VGG19.
        distance: ``l1`` or ``l2``.
        scale: The images are resized by this factor first.
        weights: File of the network's ImageNet weights; null to search for them.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: str = "vgg19",
        layer: int = 35,
        distance: str = "l1",
        scale: float = 1.0,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        if distance not in ("l1", "l2"):
            raise UserError(f"The distance of a perceptual loss is l1 or l2, not {distance!r}.")
        try:
            self.features = features(network, weights)[: layer + 1]
        except WeightsUnavailableError as error:
            raise UserError(
                f"loss.weights.vgg needs pretrained features: {error}. Set loss.terms.vgg.weights."
            ) from error
        self.distance = F.l1_loss if distance == "l1" else F.mse_loss
        self.scale = scale
        self.register_buffer("mean", torch.tensor((0.485, 0.456, 0.406)).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor((0.229, 0.224, 0.225)).view(1, 3, 1, 1))

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch."""
        with torch.no_grad():
            wanted = self._embed(target)
        return self.distance(self._embed(image), wanted)

    def _embed(self, image: Tensor) -> Tensor:
        if self.scale != 1:
            image = F.interpolate(image, scale_factor=self.scale, mode="bilinear", align_corners=False)
        return self.features((image - self.mean) / self.std)


class LPIPSLoss(nn.Module):
    """LPIPS as a loss.

    Args:
        network: ``alex`` or ``vgg``.
        weights: File of the backbone's ImageNet weights; null to search for them.
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


class ColourAngleLoss(nn.Module):
    """Mean of ``1 - cos`` of the angle between the RGB vectors of image and target."""

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch, in [0, 2]."""
        return 1 - F.cosine_similarity(image, target, dim=1, eps=1e-4).mean()


class WeightedSum(nn.Module):
    """A weighted sum of terms, at one scale or several.

    Args:
        weights: Term name to weight; a term of weight zero is not even built.
        terms: Term name to its configuration, instantiated here.
        side_weights: Weights of the same terms for each side output of a multi-scale network, in its order: one mapping
            a side output. The target is resized to each; empty for the image alone.

    Raises:
        UserError: for an unknown term or when no term has a weight.
    """

    def __init__(
        self,
        weights: Mapping[str, float],
        terms: Mapping[str, Any],
        side_weights: Sequence[Mapping[str, float]] = (),
    ) -> None:
        super().__init__()
        self.scales = [
            {name: float(weight) for name, weight in scale.items() if weight} for scale in (weights, *side_weights)
        ]
        names = sorted({name for scale in self.scales for name in scale})
        unknown = [name for name in names if name not in terms]
        if unknown:
            raise UserError(f"Unknown loss {', '.join(unknown)}; terms are {', '.join(terms)}.")
        if not self.scales[0]:
            raise UserError("The loss has no term: give one a weight, such as loss.weights.l1=1.")
        # A plain dictionary: pretrained networks inside a loss are neither trained, averaged nor saved with the model.
        self.terms = {name: instantiate(terms[name]).eval().requires_grad_(False) for name in names}

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "WeightedSum":
        for term in self.terms.values():
            term._apply(fn, recurse)
        return super()._apply(fn, recurse)

    def forward(self, outputs: Sequence[Tensor], target: Tensor) -> dict[str, Tensor]:
        """Every term at every scale.

        Args:
            outputs: The image, shape (N, 3, H, W), then side outputs.
            target: Shape (N, 3, H, W).

        Returns:
            ``loss``, the weighted sum, and each unweighted term: ``l1`` of the image, ``l1_1`` of the first side one.
        """
        if len(outputs) < len(self.scales):
            raise UserError(
                f"The loss weighs {len(self.scales) - 1} side outputs, but the model has {len(outputs) - 1}."
            )
        values: dict[str, Tensor] = {}
        total = target.new_zeros(())
        for number, (weights, output) in enumerate(zip(self.scales, outputs, strict=False)):
            wanted = _resize(target, output)
            for name, weight in weights.items():
                value = self.terms[name](output, wanted)
                values[f"{name}_{number}" if number else name] = value.detach()
                total = total + weight * value
        return {"loss": total, **values}


def _resize(target: Tensor, output: Tensor) -> Tensor:
    if target.shape[-2:] == output.shape[-2:]:
        return target
    return F.interpolate(target, output.shape[-2:], mode="bilinear", align_corners=False, antialias=True)
