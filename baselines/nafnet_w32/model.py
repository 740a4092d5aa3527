"""NAFNet for RAW to sRGB: a U-Net of blocks without nonlinear activations, ending in a PixelShuffle.

Reference: Chen et al., "Simple Baselines for Image Restoration", ECCV 2022, arXiv 2204.04676. The x2 variant for ISPs,
with 28 blocks at the fourth stage and no global residual, is that of the repository TIANLE233/MisISP.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ispbench.errors import UserError
from ispbench.models.interface import ISPModel
from ispbench.models.layers import LayerNorm2d
from ispbench.models.shapes import Shapes
from ispbench.raw.levels import BGRG_ORDER, add_black_level, checked_gamma, encode_gamma


class SimpleGate(nn.Module):
    """The product of the two halves of the channels, shape (N, 2C, H, W) to (N, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Multiplies the halves."""
        first, second = x.chunk(2, dim=1)
        return first * second


class NAFBlock(nn.Module):
    """Two residual halves: a gated depthwise convolution with channel attention, and a gated 1x1 pair.

    Args:
        channels: C. `beta` and `gamma` start at zero, so that an untrained block passes its input through.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = LayerNorm2d(channels, eps=1e-6)
        self.conv1 = nn.Conv2d(channels, 2 * channels, 1)
        self.conv2 = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.sca = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1))
        self.conv3 = nn.Conv2d(channels, channels, 1)
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.norm2 = LayerNorm2d(channels, eps=1e-6)
        self.conv4 = nn.Conv2d(channels, 2 * channels, 1)
        self.conv5 = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.gate = SimpleGate()

    def forward(self, x: Tensor) -> Tensor:
        """Maps a feature map of shape (N, C, H, W) to the same shape."""
        t = self.gate(self.conv2(self.conv1(self.norm1(x))))
        x = x + self.conv3(t * self.sca(t)) * self.beta
        return x + self.conv5(self.gate(self.conv4(self.norm2(x)))) * self.gamma


def _stage(channels: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(NAFBlock(channels) for _ in range(blocks)))


class NAFNet(nn.Module):
    """The bare network, packed RAW (N, 4, h, w) to RGB (N, 3, 2h, 2w), without activation or clamping.

    h and w are multiples of two to the number of encoder stages.

    Args:
        width: Channels at the first stage; every further one has twice as many.
        encoder_blocks: Blocks of each encoder stage, the finest first.
        middle_blocks: Blocks of the bottleneck.
        decoder_blocks: Blocks of each decoder stage, the coarsest first; as many stages as the encoder.
    """

    def __init__(
        self, width: int, encoder_blocks: Sequence[int], middle_blocks: int, decoder_blocks: Sequence[int]
    ) -> None:
        super().__init__()
        widths = [width * 2**stage for stage in range(len(encoder_blocks) + 1)]
        *encoder_widths, middle_width = widths
        self.intro = nn.Conv2d(4, width, 3, padding=1)
        self.encoders = nn.ModuleList(map(_stage, encoder_widths, encoder_blocks))
        self.downs = nn.ModuleList([nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in pairwise(widths)])
        self.middle_blks = _stage(middle_width, middle_blocks)
        self.ups = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(coarse, 4 * fine, 1, bias=False), nn.PixelShuffle(2))
                for coarse, fine in pairwise(reversed(widths))
            ]
        )
        self.decoders = nn.ModuleList(map(_stage, reversed(encoder_widths), decoder_blocks))
        self.ending = nn.Sequential(nn.Conv2d(width, 12, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, raw: Tensor) -> Tensor:
        """Renders the image of RAW in the order of `BGRG_ORDER`, white = 1, black level kept."""
        shallow = self.intro(raw)
        x, skips = shallow, []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            x = encoder(x)
            skips.append(x)
            x = down(x)
        x = self.middle_blks(x)
        for up, decoder in zip(self.ups, self.decoders, strict=True):
            x = decoder(up(x) + skips.pop())
        return self.ending(x + shallow)


class NAFNetISP(ISPModel):
    """NAFNet behind the common interface.

    Args:
        width: Channels at the first stage, doubled at each further one.
        encoder_blocks: Blocks of each encoder stage, the finest first.
        middle_blocks: Blocks of the bottleneck.
        decoder_blocks: Blocks of each decoder stage, the coarsest first.
        input_gamma: RAW enters with its black level if 1, else without it as ``x^(1/input_gamma)``.

    Raises:
        UserError: for a width below 1, a negative depth, a gamma that is not positive, or an encoder and a decoder of
            different length.
    """

    paper: ClassVar[str] = "Chen et al., ECCV 2022"
    input_kind: ClassVar[str] = "packed RAW, black level kept"
    untold_options = ("input_gamma",)

    def __init__(
        self,
        width: int = 32,
        encoder_blocks: Sequence[int] = (1, 1, 1, 28),
        middle_blocks: int = 1,
        decoder_blocks: Sequence[int] = (1, 1, 1, 1),
        input_gamma: float = 1.0,
    ) -> None:
        super().__init__()
        self.input_gamma = checked_gamma(input_gamma)
        if not isinstance(width, int) or width < 1:
            raise UserError(f"model.width is a whole number of at least 1, not {width!r}.")
        depths = (*encoder_blocks, middle_blocks, *decoder_blocks)
        if not all(isinstance(depth, int) and depth >= 0 for depth in depths):
            raise UserError(f"The numbers of blocks of model are whole and not negative, not {list(depths)}.")
        if len(encoder_blocks) != len(decoder_blocks):
            raise UserError(
                "model.encoder_blocks and model.decoder_blocks name the same number of stages, not "
                f"{len(encoder_blocks)} and {len(decoder_blocks)}."
            )
        self.multiple = 2 ** len(encoder_blocks)
        self.net = NAFNet(width, encoder_blocks, middle_blocks, decoder_blocks)

    def net_inputs(self, raw: Tensor) -> tuple[Tensor, ...]:
        """B, Gr, R, Gb as ``DN / white_level``, or without the black level in gamma encoding."""
        if self.input_gamma != 1:
            return (encode_gamma(raw[:, BGRG_ORDER], self.input_gamma),)
        return (add_black_level(raw[:, BGRG_ORDER], self.black_level, self.white_level),)

    @classmethod
    def read_options(cls, shapes: Shapes) -> dict[str, Any]:
        """The options that the tensors tell."""
        stages = range(shapes.count("downs."))
        return {
            "width": shapes["intro.weight"][0],
            "encoder_blocks": [shapes.count(f"encoders.{stage}.") for stage in stages],
            "middle_blocks": shapes.count("middle_blks."),
            "decoder_blocks": [shapes.count(f"decoders.{stage}.") for stage in stages],
        }
