"""MW-ISPNet: a three-level wavelet U-Net of residual channel attention groups, winner of the AIM 2020 challenge.

Reference: A. Ignatov et al., "AIM 2020 Challenge on Learned Image Signal Processing Pipeline", ECCV 2020 Workshops,
arXiv 2011.04994, section MW-ISPNet.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from torch import Tensor, nn

from ispbench.models.interface import ISPModel
from ispbench.models.rcan import (
    Haar,
    InverseHaar,
    ResidualChannelAttentionGroup,
    check_sizes,
    conv3x3,
    drop_haar_filters,
)
from ispbench.models.shapes import Shapes
from ispbench.raw.levels import BGRG_ORDER


class MWISPNet(nn.Module):
    """The bare network, packed RAW (N, 4, h, w) of non-negative values to sRGB (N, 3, 2h, 2w), unclamped.

    The image has no activation. The Haar bands of the input itself are a skip connection: with `up3` at zero, the
    network is the last convolution of its input. h and w are multiples of 8.

    Args:
        width: Channels at half the packed size; the two levels below have twice as many.
        blocks: Residual channel attention blocks in each of the six groups.
    """

    def __init__(self, width: int = 64, blocks: int = 20) -> None:
        super().__init__()
        group = partial(ResidualChannelAttentionGroup, blocks=blocks)
        narrow, wide = width, 2 * width
        bands = 4 * 4  # the Haar bands of the four RAW planes
        self.head = Haar()
        self.down1 = nn.Sequential(conv3x3(bands, narrow), nn.PReLU(), group(narrow))
        self.down2 = nn.Sequential(Haar(), conv3x3(4 * narrow, wide), nn.PReLU(), group(wide))
        self.down3 = nn.Sequential(Haar(), conv3x3(4 * wide, wide), nn.PReLU())
        self.middle = nn.Sequential(group(wide), group(wide))
        self.up1 = nn.Sequential(conv3x3(wide, 4 * wide), nn.PReLU(), InverseHaar())
        self.up2 = nn.Sequential(group(wide), conv3x3(wide, 4 * narrow), nn.PReLU(), InverseHaar())
        self.up3 = nn.Sequential(group(narrow), conv3x3(narrow, bands))
        self.tail = nn.Sequential(InverseHaar(), conv3x3(4, 12), nn.PixelShuffle(2))

    def forward(self, raw: Tensor) -> Tensor:
        """Renders the image of packed RAW in the order of ``BGRG_ORDER``."""
        bands = self.head(raw)
        half = self.down1(bands)
        quarter = self.down2(half)
        x = self.up1(self.middle(self.down3(quarter))) + quarter
        x = self.up2(x) + half
        x = self.up3(x) + bands
        return self.tail(x)


class MWISP(ISPModel):
    """MW-ISPNet behind the common interface.

    Args:
        width: Channels at half the packed size, at least 16.
        blocks: Residual channel attention blocks in a group.

    Raises:
        UserError: for a size that is too small or not a whole number.
    """

    multiple = 8
    paper: ClassVar[str] = "Ignatov et al., AIM 2020 challenge report, arXiv 2011.04994"
    input_kind: ClassVar[str] = "packed RAW (B, Gr, R, Gb), linear, at least 0"

    def __init__(self, width: int = 64, blocks: int = 20) -> None:
        super().__init__()
        check_sizes(width, blocks)
        self.net = MWISPNet(width, blocks)

    def net_inputs(self, raw: Tensor) -> tuple[Tensor, ...]:
        """The planes in the authors' order, noise below black clipped."""
        return (raw[:, BGRG_ORDER].clamp_min(0),)

    def official_state_dict(self, state: Mapping[str, Any]) -> Mapping[str, Any]:
        """The authors' tensors without the frozen Haar filters; their attention is called ``CA``."""
        return {name.replace(".CA.", ".ca."): value for name, value in drop_haar_filters(self.net, state).items()}

    @classmethod
    def read_options(cls, shapes: Shapes) -> dict[str, Any]:
        """The options that the tensors tell."""
        blocks = shapes.count("middle.0.rg.") - 1  # without the closing convolution
        return {"width": shapes["down1.0.weight"][0], "blocks": blocks}
