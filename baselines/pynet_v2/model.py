"""PyNET-V2 Mobile: a three-level inverted pyramid of grouped convolutions with channel and spatial attention.

Reference: Ignatov et al., "PyNet-V2 Mobile: Efficient On-Device Photo Processing With Neural Networks", ICPR
2022, arXiv 2211.06263. The form is that of a PyTorch port in TIANLE233/MisISP, whose names the modules bear.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispbench.models.interface import ISPModel
from ispbench.raw.levels import BGRG_ORDER, add_black_level

_SMALLEST = 16  # leaves the lowest level 4 pixels, of which its channel attention keeps 2


class ConvLayer(nn.Module):
    """A convolution with mirrored borders, then optional instance normalization and PReLU of one slope."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        stride: int = 1,
        norm: bool = False,
        act: bool = True,
        groups: int = 1,
    ) -> None:
        super().__init__()
        padding = (kernel - 1) // 2
        self.conv2d = nn.Conv2d(
            in_channels,
            out_channels,
            kernel,
            stride,
            padding,
            groups=groups,
            padding_mode="reflect" if padding else "zeros",
        )
        self.instance = nn.InstanceNorm2d(out_channels, affine=True) if norm else None
        self.relu = nn.PReLU() if act else None

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, `in_channels`, H, W) to (N, `out_channels`, H/stride, W/stride)."""
        x = self.conv2d(x)
        if self.instance is not None:
            x = self.instance(x)
        return x if self.relu is None else self.relu(x)


class UpConv(ConvLayer):
    """Doubles the size bilinearly, the corners kept in place, then convolves 3x3."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, `in_channels`, H, W) to (N, `out_channels`, 2H, 2W)."""
        return super().forward(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True))


class Residual(nn.Module):
    """A convolution whose result passes two PReLUs, its own and the block's, and is added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_3a = ConvLayer(channels, channels, 3)
        self.relu = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same shape."""
        return self.relu(self.conv_3a(x)) + x


class GroupedResidual(nn.Module):
    """A convolution a channel group, a 1x1 convolution over all groups, and the residual.

    The port runs `depth` convolutions on each group, every one of them on the group itself, and keeps the
    last one. Only that one runs here; the others and `relu` exist because checkpoints hold them.

    Args:
        channels: C.
        groups: The number of groups.
        depth: The convolutions of a group, of which the last counts.
    """

    def __init__(self, channels: int, groups: int, depth: int) -> None:
        super().__init__()
        self.groups = groups
        self.depth = depth
        width = channels // groups
        # The port asks for the normalization of every other layer by its number, not by its group.
        layers = (ConvLayer(width, width, 3, norm=index % groups % 2 == 0) for index in range(groups * depth))
        self.convs = nn.ModuleList(layers)
        self.conv = ConvLayer(channels, channels, 1, act=False)
        self.relu = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same shape."""
        layers = self.convs[self.depth - 1 :: self.depth]
        parts = [layer(part) for layer, part in zip(layers, x.chunk(self.groups, dim=1), strict=True)]
        return self.conv(torch.cat(parts, dim=1)) + x


class SpatialAttention(nn.Module):
    """Gates each value by its own depthwise 5x5 surroundings."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_l1 = ConvLayer(channels, channels, 3)
        self.conv_l2 = ConvLayer(channels, channels, 5, act=False, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same shape; the caller adds the residual."""
        x = self.conv_l1(x)
        return torch.sigmoid(self.conv_l2(x)) * x


class ChannelAttention(nn.Module):
    """Gates each channel by what two layers of stride 3 keep of the map on average; H and W of at least 4."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_l1 = ConvLayer(channels, channels, 3)
        self.conv_l2 = ConvLayer(channels, channels, 1, stride=3)
        self.conv_l3 = ConvLayer(channels, channels, 3, stride=3)
        self.conv_l4 = ConvLayer(channels, channels, 1)
        self.conv_l5 = ConvLayer(channels, channels, 1, act=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same shape; the caller adds the residual."""
        x = self.conv_l1(x)
        gate = self.conv_l3(self.conv_l2(x)).mean((2, 3), keepdim=True)
        return torch.sigmoid(self.conv_l5(self.conv_l4(gate))) * x


class PyNETV2Net(nn.Module):
    """The bare network: packed RAW (N, 4, h, w) in the order B, Gb, R, Gr to sRGB (N, 3, 2h, 2w).

    h and w are multiples of 4 and at least 16. Level 1 is the only one with an output.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv_l1_d1 = ConvLayer(4, 32, 3)
        self.conv_l2_d1 = ConvLayer(32, 64, 2, stride=2)
        self.conv_l3_d1 = ConvLayer(64, 128, 2, stride=2)

        self.conv_l3_d6 = GroupedResidual(128, groups=4, depth=2)
        self.conv_l3_d8 = SpatialAttention(128)
        self.conv_l3_d9 = ChannelAttention(128)
        self.conv_t2a = UpConv(128, 64)

        self.conv_l2_d2 = ConvLayer(64, 64, 3)
        self.conv_l2_d12 = Residual(64)
        self.conv_l2_d13 = GroupedResidual(64, groups=2, depth=3)
        self.conv_l2_d16 = ChannelAttention(64)
        self.conv_t1a = UpConv(64, 32)

        self.conv_l1_d2 = ConvLayer(32, 32, 3)
        self.conv_l1_d12 = Residual(32)
        self.conv_l1_d13 = GroupedResidual(32, groups=4, depth=1)
        self.conv_l1_d14 = GroupedResidual(32, groups=2, depth=1)
        self.conv_l1_out = ConvLayer(32, 16, 1)
        self.conv_l0_out = ConvLayer(4, 3, 3, act=False)

    def forward(self, raw: Tensor) -> Tensor:
        """Renders the image, range (-0.08, 1.08)."""
        level1 = self.conv_l1_d1(raw)
        level2 = self.conv_l2_d1(level1)

        x = self.conv_l3_d6(self.conv_l3_d1(level2))
        x = self.conv_l3_d8(x) + x
        x = self.conv_l3_d9(x) + x

        x = self.conv_l2_d2(level2) + self.conv_t2a(x)
        x = self.conv_l2_d13(self.conv_l2_d12(x))
        x = self.conv_l2_d16(x) + x

        x = self.conv_l1_d2(level1) + self.conv_t1a(x)
        x = self.conv_l1_d14(self.conv_l1_d13(self.conv_l1_d12(x)))
        x = self.conv_l0_out(F.pixel_shuffle(self.conv_l1_out(x), 2))
        return torch.tanh(x) * 0.58 + 0.5


class PyNETV2(ISPModel):
    """PyNET-V2 Mobile behind the common interface, for packed RAW of at least 16 x 16."""

    multiple = 4
    minimum = _SMALLEST
    paper: ClassVar[str] = "Ignatov et al., ICPR 2022, arXiv 2211.06263"
    input_kind: ClassVar[str] = "packed RAW in the order B, Gb, R, Gr, black level kept"
    unused_parameters = (
        *(f"conv_l3_d6.convs.{index}." for index in (0, 2, 4, 6)),
        *(f"conv_l2_d13.convs.{index}." for index in (0, 1, 3, 4)),
        *(f"{block}.relu." for block in ("conv_l3_d6", "conv_l2_d13", "conv_l1_d13", "conv_l1_d14")),
    )

    def __init__(self) -> None:
        super().__init__()
        self.net = PyNETV2Net()

    def net_inputs(self, raw: Tensor) -> tuple[Tensor]:
        """The packed RAW over the white level, in the authors' order."""
        return (add_black_level(raw[:, BGRG_ORDER], self.black_level, self.white_level),)
