"""Losses on color alone."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispbench.precision import full_precision


class ColorAngleLoss(nn.Module):
    """Mean of ``1 - cos`` of the angle between the RGB vectors of image and target.

    Args:
        clamp: Whether to clamp the image to [0, 1] first, as SYENet does.
        eps: Lower bound of the product of the two lengths, since black has no angle.
    """

    def __init__(self, clamp: bool = False, eps: float = 1e-4) -> None:
        super().__init__()
        self.clamp = clamp
        self.eps = eps

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch, in [0, 2]."""
        image = image.clamp(0, 1) if self.clamp else image
        return 1 - F.cosine_similarity(image, target, dim=1, eps=self.eps).mean()


class BlurredChromaLoss(nn.Module):
    """Mean absolute difference of blurred U and V of YUV (LAN, Raimundo et al., CVPR Workshops 2022).

    The 21 x 21 window is the square root of a Gaussian, integrated over pixels and cut at 3 standard deviations. Pixels
    beyond the border are black.
    """

    taps: Tensor
    matrix: Tensor

    def __init__(self) -> None:
        super().__init__()
        edges = torch.linspace(-3 - 1 / 6, 3 + 1 / 6, 22, dtype=torch.float64)
        taps = torch.special.ndtr(edges).diff().sqrt()
        self.register_buffer("taps", (taps / taps.sum()).float())
        uv = ((-0.14714119, -0.28886916, 0.43601035), (0.61497538, -0.51496512, -0.10001026))
        self.register_buffer("matrix", torch.tensor(uv))

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch."""
        with full_precision(image):
            error = torch.einsum("cj,njhw->nchw", self.matrix, (image - target).float())
            taps = self.taps.expand(2, 1, -1)
            rows = F.conv2d(error, taps[:, :, :, None], padding=(10, 0), groups=2)
            return F.conv2d(rows, taps[:, :, None], padding=(0, 10), groups=2).abs().mean()
