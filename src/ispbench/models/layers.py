"""Layers that several networks share: the Haar wavelet transform, LayerNorm over channels, 1x1 convolutions."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispbench.models import shortcuts


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


def haar_conv(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 3x3 convolution of `haar`'s bands, the transform folded into its kernel.

    Args:
        x: Shape (N, C, H, W), H and W even; fastest in channels_last.
        weight: Shape (C', 4C, 3, 3).
        bias: Shape (C',).

    Returns:
        Shape (N, C', H/2, W/2), equal to ``conv(haar(x))`` up to rounding.
    """
    n, c, h, w = x.shape
    corners = x.permute(0, 2, 3, 1).reshape(n, h // 2, 2, w // 2, 2, c).transpose(2, 3)
    corners = corners.reshape(n, h // 2, w // 2, 4 * c).permute(0, 3, 1, 2)
    kernel = torch.einsum("ocbyx,bk->okcyx", weight.unflatten(1, (c, 4)), _bands(weight)).flatten(1, 2)
    return F.conv2d(corners, kernel, bias, padding=1)


def conv_inverse_haar(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`inverse_haar` of a 3x3 convolution, the transform folded into its kernel.

    Args:
        x: Shape (N, C, H, W); fastest in channels_last.
        weight: Shape (4C', C, 3, 3).
        bias: Shape (4C',).

    Returns:
        Shape (N, C', 2H, 2W), equal to ``inverse_haar(conv(x))`` up to rounding.
    """
    n, _, h, w = x.shape
    c = len(weight) // 4
    kernel = torch.einsum("cbiyx,bk->kciyx", weight.unflatten(0, (c, 4)), _bands(weight)).flatten(0, 1)
    offset = None if bias is None else torch.einsum("cb,bk->kc", bias.unflatten(0, (c, 4)), _bands(bias)).flatten()
    corners = F.conv2d(x, kernel, offset, padding=1).permute(0, 2, 3, 1)
    return corners.reshape(n, h, w, 2, 2, c).transpose(2, 3).reshape(n, 2 * h, 2 * w, c).permute(0, 3, 1, 2)


def _bands(like: Tensor) -> Tensor:
    """The Haar transform of one cell, bands by corners, row by row; it is its own inverse."""
    return like.new_tensor([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]]) / 2


class LayerNorm2d(nn.Module):
    """Layer normalization over the channels of each pixel, shape (N, C, H, W), with learned gain and bias.

    The output is in channels_last, in which the input is normalized without a copy.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalizes each pixel over its channels."""
        return F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, self.eps).permute(
            0, 3, 1, 2
        )


class PointwiseConv(nn.Conv2d):
    """A 1x1 convolution, computed as a product with the channels of each pixel; in channels_last nothing is copied.

    PyTorch's own copies small maps to and from another layout.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to (N, C', H, W)."""
        if not shortcuts.taken():
            return super().forward(x)
        return F.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)
