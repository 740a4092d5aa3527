"""Layers that several networks share: the Haar wavelet transform and LayerNorm over channels."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def haar(x: Tensor) -> Tensor:
    """Orthonormal 2-D Haar transform.

    Args:
        x: Shape (N, C, H, W), H and W even.

    Returns:
        Shape (N, 4C, H/2, W/2). The bands of a channel are adjacent: channel 4c is LL, 4c+1 top minus bottom, 4c+2 left
        minus right, 4c+3 the diagonal. This is the order of the grouped-convolution form in MW-ISPNet and LiteISPNet.
    """
    n, c, h, w = x.shape
    top_left, top_right, bottom_left, bottom_right = _cells(x)
    # Summed in the order of the grouped convolution, so that rounding is the same: deep networks amplify differences.
    top, left = top_left + top_right, top_left - top_right
    bands = torch.stack(
        (
            top + bottom_left + bottom_right,
            top - bottom_left - bottom_right,
            left + bottom_left - bottom_right,
            left - bottom_left + bottom_right,
        ),
        dim=2,
    )
    return (bands * 0.5).reshape(n, 4 * c, h // 2, w // 2)


def inverse_haar(x: Tensor) -> Tensor:
    """Inverts `haar`: shape (N, 4C, H, W) to (N, C, 2H, 2W)."""
    n, c, h, w = x.shape
    ll, vertical, horizontal, diagonal = (x.reshape(n, c // 4, 4, h, w) * 0.5).unbind(2)
    top, bottom = ll + vertical, ll - vertical
    cells = torch.stack(
        (
            top + horizontal + diagonal,
            top - horizontal - diagonal,
            bottom + horizontal - diagonal,
            bottom - horizontal + diagonal,
        ),
        dim=2,
    )  # row by row, as PixelShuffle expects them
    return F.pixel_shuffle(cells.reshape(n, c, h, w), 2)


def _cells(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return x[..., 0::2, 0::2], x[..., 0::2, 1::2], x[..., 1::2, 0::2], x[..., 1::2, 1::2]


class LayerNorm2d(nn.Module):
    """Layer normalization over the channels of each pixel, shape (N, C, H, W), with learned gain and bias."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalizes each pixel over its channels."""
        variance, mean = torch.var_mean(x, dim=1, keepdim=True, correction=0)
        gain = self.weight.view(1, -1, 1, 1) * torch.rsqrt(variance + self.eps)
        return (x - mean) * gain + self.bias.view(1, -1, 1, 1)
