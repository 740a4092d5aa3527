"""MetaISP: a wavelet U-Net whose stages hold channel and spatial correction blocks.

Reference: Chen et al., "MetaISP: Efficient RAW-to-sRGB Mappings with Merely 1M Parameters", IJCAI 2024, pp. 686-694.
The paper leaves the width, K, N and the layout of the decoder open; the defaults are reconstructed from its parameter
and FLOP ratios (see ``README.md``): 1,091,940 parameters, 7.74 GMACs at 4x224x224.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ispbench.errors import UserError
from ispbench.models import shortcuts
from ispbench.models.interface import ISPModel
from ispbench.models.layers import conv_inverse_haar, haar, haar_conv, inverse_haar
from ispbench.models.metaisp.blocks import (
    BASIS_INITS,
    NORMS,
    ChannelCorrection,
    Norm,
    PlainBlock,
    SpatialCorrection,
    SqueezeExciteBlock,
    equal_cost_width,
)
from ispbench.models.metaisp.options import read_options
from ispbench.models.metaisp.placement import Placement, resolve
from ispbench.models.metaisp.predictor import DESCRIPTOR_NORMS, Predictor
from ispbench.models.shapes import Shapes
from ispbench.raw.levels import checked_gamma, encode_gamma


class HaarDown(nn.Module):
    """Halves the size: Haar transform, then a 3x3 convolution 4C -> C'."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4 * channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to (B, C', H/2, W/2)."""
        if not shortcuts.taken():
            return self.conv(haar(x))
        return haar_conv(x, self.conv.weight, self.conv.bias)


class HaarUp(nn.Module):
    """Doubles the size: a 3x3 convolution C -> 4C', then the inverse Haar transform."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 4 * out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to (B, C', 2H, 2W)."""
        if not shortcuts.taken():
            return inverse_haar(self.conv(x))
        return conv_inverse_haar(x, self.conv.weight, self.conv.bias)


def _strided_down(channels: int, out_channels: int) -> nn.Module:
    return nn.Conv2d(channels, out_channels, 3, stride=2, padding=1)


def _strided_up(channels: int, out_channels: int) -> nn.Module:
    return nn.ConvTranspose2d(channels, out_channels, 3, stride=2, padding=1, output_padding=1)


RESAMPLING = {"dwt": (HaarDown, HaarUp), "strided": (_strided_down, _strided_up)}


def _tail(kind: str, channels: int) -> nn.Module:
    conv = partial(nn.Conv2d, kernel_size=3, padding=1)
    if kind == "double":
        return nn.Sequential(conv(channels, channels), conv(channels, 12), nn.PixelShuffle(2))
    if kind == "single":
        return nn.Sequential(conv(channels, 12), nn.PixelShuffle(2))
    if kind == "full_size":
        return nn.Sequential(conv(channels, channels), nn.PixelShuffle(2), conv(channels // 4, 3))
    raise UserError(f"model.tail is double, single or full_size, not {kind!r}.")


class MetaISPNet(nn.Module):
    """The bare network, packed RAW (B, 4, h, w) to sRGB (B, 3, 2h, 2w), h and w multiples of 8.

    Args:
        width: C, the channels at the first three stages; the bottleneck has 2C.
        num_bases: N, the number of basis matrices and vectors of a block.
        basis_dims: K, their dimension, at the stages of C and of 2C channels.
        placement: The blocks of every stage, from `placement.resolve`.
        resampling: ``dwt`` (Haar transform and 3x3 convolution) or ``strided`` (strided and transposed convolutions).
        tail: ``double`` (conv C->C, conv C->12, PixelShuffle), ``single`` (conv C->12, PixelShuffle) or ``full_size``
            (conv C->C, PixelShuffle, conv C/4->3).
        predictor: Makes a predictor from its channels and N.
        norm: Makes a block's norm from its channels.
        basis_init: A key of `blocks.BASIS_INITS`.
        input_gamma: The RAW enters as ``x^(1/input_gamma)``; 1 leaves it linear.
        separable: Whether the convolutions of the blocks are separable.
    """

    def __init__(
        self,
        width: int,
        num_bases: int,
        basis_dims: tuple[int, int],
        placement: Placement,
        resampling: str,
        tail: str,
        predictor: Callable[[int, int], Predictor],
        norm: Norm,
        basis_init: str,
        input_gamma: float,
        separable: bool,
    ) -> None:
        super().__init__()
        if resampling not in RESAMPLING:
            raise UserError(f"model.resampling is {' or '.join(RESAMPLING)}, not {resampling!r}.")
        down, up = RESAMPLING[resampling]
        self.input_gamma = input_gamma

        def block(kind: str, channels: int) -> nn.Module:
            kind, _, stand_in = kind.partition("_as_")
            basis_dim = basis_dims[channels > width]
            if stand_in or kind == "conv":
                return PlainBlock(channels, equal_cost_width(kind, channels, basis_dim, separable), norm, separable)
            if kind == "se":
                return SqueezeExciteBlock(channels, basis_dim, norm, separable)
            make = partial(predictor, channels, num_bases)
            if kind == "mccb":
                return ChannelCorrection(channels, basis_dim, num_bases, make, norm, basis_init, separable)
            return SpatialCorrection(channels, basis_dim, num_bases, make, norm, separable)

        def stage(name: str, channels: int) -> nn.Module:
            return nn.Sequential(*(block(kind, channels) for kind in placement[name]))

        self.head = nn.Conv2d(4, width, 3, padding=1)
        self.encoder = nn.ModuleList([stage(name, width) for name in ("encoder1", "encoder2", "encoder3")])
        self.down = nn.ModuleList([down(width, width), down(width, width), down(width, 2 * width)])
        self.bottleneck = stage("bottleneck", 2 * width)
        self.decoder = nn.ModuleList([stage("decoder3", 2 * width), stage("decoder2", width), stage("decoder1", width)])
        self.up = nn.ModuleList([up(2 * width, width), up(width, width), up(width, width)])
        self.tail = _tail(tail, width)

    def forward(self, raw: Tensor) -> Tensor:
        """Renders the image of canonical packed RAW."""
        x = encode_gamma(raw, self.input_gamma) if self.input_gamma != 1 else raw
        if shortcuts.taken():
            x = x.contiguous(memory_format=torch.channels_last)
        x = self.head(x)
        skips = []
        for blocks, down in zip(self.encoder, self.down, strict=True):
            x = blocks(x)
            skips.append(x)
            x = down(x)
        x = self.bottleneck(x)
        for blocks, up, skip in zip(self.decoder, self.up, reversed(skips), strict=True):
            x = up(blocks(x)) + skip
        return self.tail(x)


class MetaISP(ISPModel):
    """MetaISP behind the common interface.

    Args:
        width: C, the channels at the first three stages.
        num_bases: N.
        basis_dim: K, or two numbers, K at the stages of C channels and of 2C.
        placement: A preset of `placement.PRESETS`, or a mapping from stages to lists of blocks.
        ablated: ``remove`` or ``conv``: what stands where the placement leaves a block out.
        resampling: ``dwt`` or ``strided``.
        tail: ``full_size``, ``double`` or ``single``.
        predictor: ``depthwise`` (a depthwise 3x3 convolution before the global average) or ``pool`` (none).
        weighting: ``softmax`` or ``linear`` weights of the bases.
        input_gamma: The RAW enters as ``x^(1/input_gamma)``.
        norm: What stands first in every block: ``layer``, ``group`` or ``none``, see `blocks.NORMS`.
        basis_init: How the matrices start: ``orthogonal``, ``identity`` (with a little noise) or ``normal``.
        descriptor: What the predictors average: ``features``, ``input`` or ``energy``, see `blocks.Predictor`.
        descriptor_norm: ``tracked``, ``running``, ``layer`` or ``none``, see `blocks.DESCRIPTOR_NORMS`.
        temperature: Of the predicted logits; small values make the weights of images differ more.
        convolutions: ``full``, 3x3 throughout, or ``separable``: in the blocks a 1x1 and a depthwise 3x3 convolution
            first, and 1x1 projections.

    Raises:
        UserError: for an unknown choice, naming the valid ones.
    """

    multiple = 8
    paper: ClassVar[str] = "Chen et al., IJCAI 2024"
    untold_options = ("weighting", "input_gamma", "norm", "descriptor", "descriptor_norm", "temperature")

    def __init__(
        self,
        width: int = 28,
        num_bases: int = 6,
        basis_dim: int | Sequence[int] = 56,
        placement: str | Mapping[str, Sequence[str]] = "both",
        ablated: str = "remove",
        resampling: str = "dwt",
        tail: str = "full_size",
        predictor: str = "depthwise",
        weighting: str = "softmax",
        input_gamma: float = 2.2,
        norm: str = "layer",
        basis_init: str = "orthogonal",
        descriptor: str = "features",
        descriptor_norm: str = "tracked",
        temperature: float = 1.0,
        convolutions: str = "full",
    ) -> None:
        super().__init__()
        for name, value in (("width", width), ("num_bases", num_bases)):
            if not _is_count(value):
                raise UserError(f"model.{name} is a whole number of at least 1, not {value!r}.")
        dims = tuple(basis_dim) if isinstance(basis_dim, Sequence) else (basis_dim, basis_dim)
        if isinstance(basis_dim, str) or len(dims) != 2 or not all(map(_is_count, dims)):
            raise UserError(f"model.basis_dim is a whole number of at least 1, or two of them, not {basis_dim!r}.")
        for name, chosen, known in (
            ("predictor", predictor, ("depthwise", "pool")),
            ("weighting", weighting, ("softmax", "linear")),
            ("norm", norm, NORMS),
            ("basis_init", basis_init, BASIS_INITS),
            ("descriptor", descriptor, ("features", "input", "energy")),
            ("descriptor_norm", descriptor_norm, DESCRIPTOR_NORMS),
            ("convolutions", convolutions, ("full", "separable")),
        ):
            if chosen not in known:
                raise UserError(f"model.{name} is {' or '.join(known)}, not {chosen!r}.")
        if not temperature > 0:
            raise UserError(f"model.temperature is a number above 0, not {temperature!r}.")
        self.net = MetaISPNet(
            width,
            num_bases,
            dims,
            resolve(placement, ablated),
            resampling,
            tail,
            partial(
                Predictor,
                depthwise=predictor == "depthwise",
                weighting=weighting,
                descriptor=descriptor,
                descriptor_norm=descriptor_norm,
                temperature=temperature,
            ),
            NORMS[norm],
            basis_init,
            checked_gamma(input_gamma),
            convolutions == "separable",
        )

    @classmethod
    def read_options(cls, shapes: Shapes) -> dict[str, Any]:
        """The options that the tensors tell."""
        return read_options(shapes)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
