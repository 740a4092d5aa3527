"""AWNet on packed RAW: a wavelet U-Net with global context (the authors' 4-channel network).

Reference: L. Dai, X. Liu, C. Li, J. Chen, "AWNet: Attentive Wavelet Network for Image ISP",
ECCV Workshops 2020, arXiv 2008.09228.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ispbench.baselines.awnet_raw.blocks import (
    PyramidPooling,
    SqueezeExcite,
    conv1,
    conv3,
    inverse_grouped_haar,
)
from ispbench.baselines.awnet_raw.body import LEVELS, PAPER, UNUSED, AWNetBody, checked_width, from_official
from ispbench.models.interface import ISPModel
from ispbench.models.shapes import Shapes
from ispbench.raw.levels import BGRG_ORDER, add_black_level


class Up(nn.Module):
    """Upsampling to C channels: PixelShuffle and convolutions, fused with the inverse Haar transform."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pre_conv_stem = conv1(2 * channels, 4 * channels)
        self.stem = nn.Sequential(
            nn.PixelShuffle(2), conv3(channels, channels), nn.PReLU(), conv3(channels, channels), nn.PReLU()
        )
        self.pre_conv = conv1(4 * channels, 4 * channels)
        self.post_conv = conv1(channels, channels)
        self.last_conv = conv1(2 * channels, channels)

    def forward(self, x: Tensor, bands: Tensor) -> Tensor:
        """Maps (N, 2C, H, W) and the level's Haar bands (N, 4C, H, W) to (N, C, 2H, 2W)."""
        details = self.post_conv(inverse_grouped_haar(self.pre_conv(bands)))
        return self.last_conv(torch.cat((self.stem(self.pre_conv_stem(x)), details), dim=1))


class Tail(nn.Module):
    """The image at twice the size, by PixelShuffle, pyramid pooling and channel attention."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 4
        self.shuffle = nn.PixelShuffle(2)
        self.pre_enhance = conv3(inner, inner)
        self.enhance = PyramidPooling(inner)
        self.post_conv = conv3(2 * inner, 2 * inner)
        self.se = SqueezeExcite(2 * inner)
        self.final = conv3(2 * inner, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the image (N, 3, 2H, 2W) in (0, 1)."""
        x = self.pre_enhance(self.shuffle(x))
        x = torch.cat((self.enhance(x), x), dim=1)
        return self.final(self.se(self.post_conv(x))).sigmoid()


class AWNetRawNet(AWNetBody):
    """The bare network: packed RAW (N, 4, H, W) to an image (N, 3, 2H, 2W) in (0, 1).

    The planes are B, Gr, R, Gb as DN / white level; H and W are multiples of 16. In ``train()`` five side
    outputs follow the image, 3 channels in (0, 1), at H, H/2, H/4, H/8 and H/16: 1/2 to 1/32 of the image.

    Args:
        width: Channels of the finest level, a multiple of 8.
        depths: Dense blocks of the five levels, finest first.

    Raises:
        UserError: for an invalid width or invalid depths.
    """

    def __init__(self, width: int = 64, depths: Sequence[int] = (3, 3, 3, 4, 4)) -> None:
        width = checked_width(width, 8)
        super().__init__(4, width, depths, Up, Tail(width), num_sides=5)


class AWNetRaw(ISPModel):
    """AWNet on packed RAW behind the common interface.

    Args:
        width: Channels of the finest level, a multiple of 8.
        depths: Dense blocks of the five levels, finest first.

    Raises:
        UserError: for an invalid width or invalid depths.
    """

    multiple = 16
    paper: ClassVar[str] = PAPER
    input_kind: ClassVar[str] = "packed RAW (B, Gr, R, Gb), black kept"
    unused_parameters = UNUSED

    def __init__(
        self,
        width: int = 64,
        depths: Sequence[int] = (3, 3, 3, 4, 4),
    ) -> None:
        super().__init__()
        self.net = AWNetRawNet(width, depths)

    def net_inputs(self, raw: Tensor) -> tuple[Tensor]:
        """The planes in the order B, Gr, R, Gb, as DN / white level."""
        return (add_black_level(raw[:, BGRG_ORDER], self.black_level, self.white_level),)

    def official_state_dict(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The authors' tensors under the names of `net`."""
        return from_official(state, {"last.": "tail."})

    @classmethod
    def read_options(cls, shapes: Shapes) -> dict[str, Any]:
        """The options that the tensors tell."""
        depths = [shapes.count(f"encoder.{level}.blocks.") for level in range(LEVELS)]
        return {"width": shapes["head.weight"][0], "depths": depths}
