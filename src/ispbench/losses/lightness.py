"""A perceptual loss on lightness alone, which leaves the colors free.

Reference: Arhire and Timofte, "Learned Lightweight Smartphone ISP with Unpaired Data", CVPR Workshops 2025,
arXiv 2505.10420.
"""

import torch
from torch import Tensor

from ispbench.losses.perceptual import PerceptualLoss

_LUMINANCE = (0.212671, 0.715160, 0.072169)  # Y of linear sRGB, D65


class LightnessLoss(PerceptualLoss):
    """`PerceptualLoss` between the lightness of image and target, L* / 100 as three equal channels."""

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch."""
        return super().forward(*(lightness(x).expand(-1, 3, -1, -1) / 100 for x in (image, target)))


def lightness(srgb: Tensor) -> Tensor:
    """CIE L* of sRGB, shape (N, 3, H, W) to (N, 1, H, W), in [0, 100] for colors in [0, 1].

    Negative values count as black; the function goes on above white. Differentiable everywhere.
    """
    srgb = srgb.clamp_min(0)
    linear = torch.where(srgb > 0.04045, ((srgb.clamp_min(0.04045) + 0.055) / 1.055).pow(2.4), srgb / 12.92)
    luminance = torch.einsum("c,nchw->nhw", linear.new_tensor(_LUMINANCE), linear).unsqueeze(1)
    root = torch.where(luminance > 0.008856, luminance.clamp_min(0.008856).pow(1 / 3), 7.787 * luminance + 16 / 116)
    return 116 * root - 16
