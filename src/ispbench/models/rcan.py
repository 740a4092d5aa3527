"""Residual channel attention, and the Haar transform as a module: the parts of MW-ISPNet and LiteISPNet.

Reference: Y. Zhang et al., "Image Super-Resolution Using Very Deep Residual Channel Attention Networks", ECCV 2018,
arXiv 1807.02758. Modules have the names that LiteISPNet's checkpoints use.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ispbench.errors import UserError
from ispbench.models.layers import haar, inverse_haar

# The attention squeezes C channels to floor(C / 16).
_REDUCTION = 16


def conv3x3(in_channels: int, out_channels: int) -> nn.Conv2d:
    """A 3x3 convolution with bias that keeps the size."""
    return nn.Conv2d(in_channels, out_channels, 3, padding=1)


class ChannelAttention(nn.Module):
    """Scales every channel by a factor in (0, 1) that is predicted from the means of all channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // _REDUCTION
        self.conv_du = nn.Sequential(
            nn.Conv2d(channels, hidden, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same shape; the means are over all of H x W."""
        return x * self.conv_du(x.mean((2, 3), keepdim=True))


class ResidualChannelAttentionBlock(nn.Module):
    """RCAB: two convolutions, channel attention, and a residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.res = nn.Sequential(conv3x3(channels, channels), nn.ReLU(inplace=True), conv3x3(channels, channels))
        self.ca = ChannelAttention(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same shape."""
        return x + self.ca(self.res(x))


class ResidualChannelAttentionGroup(nn.Module):
    """RCAG: a chain of blocks and a final convolution, with a residual around them all.

    Args:
        channels: C, at least 16.
        blocks: The number of blocks.
    """

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        chain = [ResidualChannelAttentionBlock(channels) for _ in range(blocks)]
        self.rg = nn.Sequential(*chain, conv3x3(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same shape."""
        return x + self.rg(x)


class Haar(nn.Module):
    """`ispbench.models.layers.haar` as a step of a sequence."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to (N, 4C, H/2, W/2)."""
        return haar(x)


class InverseHaar(nn.Module):
    """`ispbench.models.layers.inverse_haar` as a step of a sequence."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, 4C, H, W) to (N, C, 2H, 2W)."""
        return inverse_haar(x)


def drop_haar_filters(net: nn.Module, state: Mapping[str, Any]) -> dict[str, Any]:
    """A state dict without the frozen filters that the authors store where `net` has a Haar transform."""
    transforms = (name for name, module in net.named_modules() if isinstance(module, Haar | InverseHaar))
    filters = {f"{name}.weight" for name in transforms}
    return {name: value for name, value in state.items() if name not in filters}


def check_sizes(width: int, blocks: int) -> None:
    """Checks the two sizes that a user chooses.

    Raises:
        UserError: if one of them is too small or not a whole number.
    """
    for name, value, least in (("width", width, _REDUCTION), ("blocks", blocks, 1)):
        if not isinstance(value, int) or value < least:
            raise UserError(f"model.{name} is a whole number of at least {least}, not {value!r}.")
