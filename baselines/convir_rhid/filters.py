"""Filters whose kernels the feature map predicts for itself: ConvIR's multi-shape attention.

Each splits a map into a filtered, low-frequency part and the rest and weighs the two anew, channel by channel. A kernel
serves a group of consecutive channels and holds one weight a tap; taps lie `dilation` pixels apart, the border is
mirrored without repeating its edge.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_GROUPS = 8


class DynamicFilter(nn.Module):
    """A filter of one shape.

    Args:
        channels: C, a multiple of 8.
        taps: Offset (row, column) of each tap, in steps of `dilation`.
        dilation: Pixels between taps.
        pooled: Dimensions whose mean the low frequencies are also taken from: 2, 3 or both.
        norm: Whether batch norm follows the prediction of the kernels.
    """

    def __init__(
        self, channels: int, taps: Sequence[tuple[int, int]], dilation: int, pooled: Sequence[int], norm: bool
    ) -> None:
        super().__init__()
        self.taps = tuple(taps)
        self.dilation = dilation
        self.pooled = tuple(pooled)
        self.conv = nn.Conv2d(channels, _GROUPS * len(self.taps), 1, bias=False)
        self.bn = nn.BatchNorm2d(_GROUPS * len(self.taps)) if norm else nn.Identity()
        self.inside_all = nn.Parameter(torch.zeros(channels, 1, 1))
        self.lamb_l = nn.Parameter(torch.zeros(channels))
        self.lamb_h = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same shape."""
        low = self._filtered(x, self._kernels(x))
        low = low * (self.inside_all + 1) - self.inside_all * x.mean(self.pooled, keepdim=True)
        return low * self.lamb_l.view(-1, 1, 1) + x * (self.lamb_h.view(-1, 1, 1) + 1)

    def _kernels(self, x: Tensor) -> Tensor:
        """The taps of every channel, shape (taps, N, C, 1, 1), each in (-1, 1)."""
        weights = self.bn(self.conv(x.mean((2, 3), keepdim=True))).tanh()
        weights = weights.view(len(x), _GROUPS, len(self.taps), 1, 1)
        return weights.repeat_interleave(x.shape[1] // _GROUPS, dim=1).transpose(0, 2).transpose(1, 2)

    def _filtered(self, x: Tensor, kernels: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        rows, columns = (self.dilation * max(abs(tap[axis]) for tap in self.taps) for axis in (0, 1))
        padded = F.pad(x, (columns, columns, rows, rows), mode="reflect")
        low = torch.zeros_like(x)
        for (row, column), kernel in zip(self.taps, kernels, strict=True):
            top, left = rows + self.dilation * row, columns + self.dilation * column
            low = torch.addcmul(low, kernel, padded[..., top : top + height, left : left + width])
        return low


class StripAttention(nn.Module):
    """A horizontal, then a vertical filter of three taps, weighed against the input."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        steps = (-1, 0, 1)
        self.horizontal = DynamicFilter(channels, [(0, step) for step in steps], dilation, (3,), norm=False)
        self.vertical = DynamicFilter(channels, [(step, 0) for step in steps], dilation, (2,), norm=False)
        self.gamma = nn.Parameter(torch.zeros(channels, 1, 1))
        self.beta = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same shape."""
        return self.gamma * self.vertical(self.horizontal(x)) + self.beta * x


class MultiShapeAttention(nn.Module):
    """The sum of strip filters and a square one of 3x3 taps."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        taps = [(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1)]
        self.strip = StripAttention(channels, dilation)
        self.square = DynamicFilter(channels, taps, dilation, (2, 3), norm=True)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same shape."""
        return self.strip(x) + self.square(x)


class MultiScalePool(nn.Module):
    """Filters averages of a map at three scales, each informed by the coarser one, and adds them to it.

    Args:
        channels: C, a multiple of 8.
    """

    scales = ((8, 3), (4, 7), (2, 9))  # pooling and dilation, the coarsest first

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in self.scales)
        self.filters = nn.ModuleList(MultiShapeAttention(channels, dilation) for _, dilation in self.scales)
        self.merge = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W), H and W multiples of 8 and at least 32, to the same."""
        result, coarser = x, None
        for (pool, _), conv, dynamic in zip(self.scales, self.convs, self.filters, strict=True):
            pooled = F.avg_pool2d(x, pool)
            if coarser is not None:
                pooled = pooled + _resize(coarser, pooled)
            coarser = dynamic(conv(pooled))
            result = result + _resize(coarser, x)
        return self.merge(F.gelu(result))


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=True)
