"""AWNet on demosaiced RAW: a wavelet U-Net with global context (the authors' 3-channel network).

Reference: L. Dai, X. Liu, C. Li, J. Chen, "AWNet: Attentive Wavelet Network for Image ISP",
ECCV Workshops 2020, arXiv 2008.09228.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispbench.baselines.awnet_raw.blocks import PyramidPooling, conv1, conv3, inverse_grouped_haar
from ispbench.baselines.awnet_raw.body import LEVELS, PAPER, UNUSED, AWNetBody, checked_width, from_official
from ispbench.models.interface import ISPModel
from ispbench.models.shapes import Shapes
from ispbench.raw.levels import add_black_level

# The DN that the authors' 8-bit image shows as 255, as a fraction of the white level: 3 * 255 of 4 * 255.
_SATURATION = 0.75


def pseudo_demosaic(raw: Tensor, black_level: float, white_level: float, quantise: bool) -> Tensor:
    """The authors' input: each plane upsampled by two on its own, regardless of its position in the 2x2 cell.

    Quantized as the authors' files are: whole DN before and after the resizing, then 8 bits, which clip
    everything above 3/4 of the white level.

    Args:
        raw: Canonical packed RAW, shape (N, 4, h, w).
        black_level: Of the sensor, in DN.
        white_level: Of the sensor, in DN.
        quantise: Whether to round and clip as the authors' PNG files do.

    Returns:
        R, G, B, shape (N, 3, 2h, 2w), as DN / (3/4 white level): in [0, 1] if quantized, else up to 4/3.
    """
    dn = add_black_level(raw, black_level, white_level) * white_level
    if quantise:
        dn = dn.round()
    dn = F.interpolate(dn, scale_factor=2, mode="bilinear", align_corners=False)
    if quantise:
        dn = dn.round()
    red, green_r, green_b, blue = dn.unbind(1)
    levels = torch.stack((red, (green_r + green_b) / 2, blue), dim=1) * (255 / (_SATURATION * white_level))
    if quantise:
        levels = levels.round().clamp(0, 255)
    return levels / 255


class Up(nn.Module):
    """Upsampling to C channels: half bilinear with convolutions, half by the inverse Haar transform."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            conv3(2 * channels, channels),
            nn.PReLU(),
            conv3(channels, channels // 2),
            nn.PReLU(),
        )
        self.pre_conv = conv1(4 * channels, 4 * channels)
        self.prelu = nn.PReLU()
        self.conv1x1 = conv1(channels, channels // 2)

    def forward(self, x: Tensor, bands: Tensor) -> Tensor:
        """Maps (N, 2C, H, W) and the level's Haar bands (N, 4C, H, W) to (N, C, 2H, 2W)."""
        details = self.conv1x1(inverse_grouped_haar(self.prelu(self.pre_conv(bands))))
        return torch.cat((self.stem(x), details), dim=1)


class AWNetDemosaicNet(AWNetBody):
    """The bare network: demosaiced RGB (N, 3, H, W) to an image (N, 3, H, W) in (0, 1).

    H and W are multiples of 16. In ``train()`` four side outputs follow the image, 3 channels in (0, 1), at
    H/2, H/4, H/8 and H/16.

    Args:
        width: Channels of the finest level, a multiple of 4.
        depths: Dense blocks of the five levels, finest first.

    Raises:
        UserError: for an invalid width or invalid depths.
    """

    def __init__(self, width: int = 64, depths: Sequence[int] = (3, 3, 3, 4, 4)) -> None:
        width = checked_width(width, 4)
        tail = nn.Sequential(PyramidPooling(width), conv3(width, 3), nn.Sigmoid())
        super().__init__(3, width, depths, Up, tail, num_sides=4)


class AWNetDemosaic(ISPModel):
    """AWNet on demosaiced RAW behind the common interface.

    Args:
        width: Channels of the finest level, a multiple of 4.
        depths: Dense blocks of the five levels, finest first.
        quantise: Whether the input is rounded and clipped as the authors' 8-bit files are. The RAW gets no
            gradient then.

    Raises:
        UserError: for an invalid width or invalid depths.
    """

    multiple = 8
    paper: ClassVar[str] = PAPER
    input_kind: ClassVar[str] = "demosaiced RGB at full size, black kept, 8 bits"
    unused_parameters = UNUSED
    untold_options = ("quantise",)

    def __init__(
        self,
        width: int = 64,
        depths: Sequence[int] = (3, 3, 3, 4, 4),
        quantise: bool = True,
    ) -> None:
        super().__init__()
        self.quantise = quantise
        self.net = AWNetDemosaicNet(width, depths)

    def net_inputs(self, raw: Tensor) -> tuple[Tensor]:
        """The pseudo-demosaiced image, in the order R, G, B."""
        return (pseudo_demosaic(raw, self.black_level, self.white_level, self.quantise),)

    def official_state_dict(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The authors' tensors under the names of `net`."""
        return from_official(state, {"enhance.": "tail.0.", "final_conv.": "tail.1."})

    @classmethod
    def read_options(cls, shapes: Shapes) -> dict[str, Any]:
        """The options that the tensors tell."""
        depths = [shapes.count(f"encoder.{level}.blocks.") for level in range(LEVELS)]
        return {"width": shapes["head.weight"][0], "depths": depths}
