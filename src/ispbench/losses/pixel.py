"""Losses on the pixels themselves, beside those of torch (``L1Loss``, ``MSELoss``, ``HuberLoss``)."""

import torch
from torch import Tensor, nn

from ispbench.errors import UserError


class Charbonnier(nn.Module):
    """``sqrt(d^2 + eps^2)`` (Charbonnier et al., ICIP 1994).

    Args:
        eps: The error below which the loss is about quadratic; above, it is about the absolute error.
        reduction: ``mean`` over all values, or their ``sum``.
    """

    def __init__(self, eps: float = 1e-3, reduction: str = "mean") -> None:
        super().__init__()
        if reduction not in ("mean", "sum"):
            raise UserError(f"loss.terms.charbonnier.reduction is mean or sum, not {reduction!r}.")
        self.eps = eps
        self.reduction = reduction

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch."""
        values = torch.sqrt((image - target).square() + self.eps**2)
        return values.mean() if self.reduction == "mean" else values.sum()


class PSNRLoss(nn.Module):
    """The negative PSNR in dB, a mean over images (NAFNet, Chen et al., ECCV 2022)."""

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch, negative; -80 at best."""
        return 10 * torch.log10((image - target).square().mean((1, 2, 3)) + 1e-8).mean()


class OutlierAwareL1(nn.Module):
    """Absolute errors, weighted by how far they deviate from the mean error.

    With d the error in one channel of one image, b its standard deviation divided by the square root of 2 (the scale of
    a Laplace distribution) and ``t = |d - mean(d)| / b``, the weight is ``1 - exp(-t)`` (SYENet, Gou et al., ICCV 2023,
    arXiv 2308.08137) or ``tanh(t)`` (the local variance-weighted loss of MobileIE, Yan et al., ICCV 2025, arXiv
    2507.01838). No gradient flows through the weight.

    Args:
        curve: ``exp`` or ``tanh``.
    """

    def __init__(self, curve: str = "exp") -> None:
        super().__init__()
        if curve not in ("exp", "tanh"):
            raise UserError(f"loss.terms.outlier_l1.curve is exp or tanh, not {curve!r}.")
        self.curve = curve

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch."""
        error = image - target
        with torch.no_grad():
            deviation = (error - error.mean((2, 3), keepdim=True)).abs()
            scale = error.std((2, 3), keepdim=True) / 2**0.5
            if self.curve == "exp":
                weight = 1 - torch.exp(-deviation / scale.clamp_min(1e-12))
            else:
                weight = torch.tanh(deviation / (scale + 1e-6))
        return (error.abs() * weight).mean()


class TotalVariation(nn.Module):
    """Mean squared difference of neighboring pixels, vertical plus horizontal, in the image alone."""

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch; `target` is ignored."""
        vertical = (image[..., 1:, :] - image[..., :-1, :]).square().mean()
        return vertical + (image[..., :, 1:] - image[..., :, :-1]).square().mean()
