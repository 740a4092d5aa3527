"""A U-Net on any convolutional encoder of timm: the plain reference among the baselines, of no ISP paper.

The form is that of Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015,
arXiv 1505.04597.

    >>> from ispbench.models.build import build_model
    >>> model = build_model("unet", ["model.encoder=mobilenetv3_small_050"])
    >>> model.multiple
    32
"""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, ClassVar

import timm
import torch
import torch.nn.functional as F
from timm.models import get_arch_name, get_pretrained_cfg, is_model
from torch import Tensor, nn

from ispbench.errors import UserError, first_line
from ispbench.models.interface import ISPModel
from ispbench.models.shapes import Shapes
from ispbench.raw.demosaic import bilinear
from ispbench.raw.levels import checked_gamma, encode_gamma


def timm_encoder(name: str, pretrained: bool) -> nn.Module:
    """Builds a model of timm that takes packed RAW and returns its features, the finest first.

    Args:
        name: The model, such as ``resnet18``, or with the tag of its weights, such as ``resnet18.a1_in1k``.
        pretrained: Whether timm loads its weights and adapts those of the first convolution to four channels.

    Raises:
        UserError: if timm has no such model, its weights are out of reach, or it gives no pyramid for every image size.
    """
    if not is_model(name):
        near = get_close_matches(get_arch_name(name), timm.list_models(), n=5)
        hint = f"did you mean {', '.join(near)}?" if near else "timm.list_models() names those there are."
        raise UserError(f"timm has no model {name!r} for model.encoder; {hint}")
    try:
        config = get_pretrained_cfg(name)
        if config is not None and config.fixed_input_size:
            raise UserError(f"{name} takes images of one size; give model.encoder a convolutional model, as resnet18.")
        encoder = timm.create_model(name, pretrained=pretrained, features_only=True, in_chans=4)
    except (OSError, RuntimeError) as error:
        raise UserError(f"timm cannot build model.encoder={name}: {first_line(error)}") from error
    reductions, _ = _pyramid(encoder)
    if reductions != sorted(set(reductions)) or any(reduction & (reduction - 1) for reduction in reductions):
        raise UserError(
            f"{name} shrinks its features by {reductions}, no pyramid; give model.encoder a model with one."
        )
    return encoder


def _pyramid(encoder: nn.Module) -> tuple[list[int], list[int]]:
    """How much each feature map of an encoder is reduced in size, and its channels."""
    info: Any = encoder.feature_info
    return info.reduction(), info.channels()


class DecoderStage(nn.Module):
    """Doubles the size, joins the skip connection and convolves twice.

    Args:
        channels: Channels of the coarser feature map.
        skip_channels: Channels of the skip connection; 0 where the encoder has no features of this size.
        out_channels: Channels of the result.
    """

    def __init__(self, channels: int, skip_channels: int, out_channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels + skip_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.GELU(),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.GELU(),
        )

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        """Maps shape (N, C, H, W) and a skip connection of twice the size to (N, C', 2H, 2W)."""
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        return self.body(x if skip is None else torch.cat((x, skip), 1))


class UNet(nn.Module):
    """The bare network, packed RAW in gamma encoding (N, 4, h, w) to RGB (N, 3, 2h, 2w), not clamped.

    It predicts what is to be added to a bilinear demosaic of its input, nothing before training.

    Args:
        encoder: From `timm_encoder`; h and w are multiples of its largest reduction.
        decoder_widths: Channels of each decoder stage, the coarsest first; the last is of the size of the packed RAW.

    Raises:
        UserError: if the number of widths is not that of the encoder's halvings.
    """

    def __init__(self, encoder: nn.Module, decoder_widths: Sequence[int]) -> None:
        super().__init__()
        self.encoder = encoder
        self.reductions, channels_of = _pyramid(encoder)
        skips = dict(zip(self.reductions, channels_of, strict=True))
        skips.setdefault(1, 4)  # the RAW itself
        channels = skips[self.reductions[-1]]
        halvings = self.reductions[-1].bit_length() - 1
        if len(decoder_widths) != halvings:
            raise UserError(
                f"This model.encoder halves its input {halvings} times, so model.decoder_widths names {halvings} "
                f"widths, not {len(decoder_widths)}."
            )
        self.stage_reductions = [2**level for level in reversed(range(halvings))]
        self.decoder = nn.ModuleList()
        for reduction, width in zip(self.stage_reductions, decoder_widths, strict=True):
            self.decoder.append(DecoderStage(channels, skips.get(reduction, 0), width))
            channels = width
        self.tail = nn.Conv2d(channels, 12, 3, padding=1)
        for parameter in self.tail.parameters():
            nn.init.zeros_(parameter)

    def forward(self, raw: Tensor) -> Tensor:
        """Renders the image of R, Gr, Gb, B in gamma encoding, not negative."""
        features = dict(zip(self.reductions, self.encoder(raw), strict=True))
        features.setdefault(1, raw)
        x = features[self.reductions[-1]]
        for reduction, stage in zip(self.stage_reductions, self.decoder, strict=True):
            x = stage(x, features.get(reduction))
        return bilinear(raw) + F.pixel_shuffle(self.tail(x), 2)


class UNetISP(ISPModel):
    """A U-Net on an encoder of timm behind the common interface.

    Args:
        encoder: A convolutional model of timm.
        pretrained: Whether timm loads its weights for it.
        decoder_widths: Channels of each decoder stage, the coarsest first: as many as the encoder's halvings.
        input_gamma: The RAW enters as ``x^(1/input_gamma)``; 1 leaves it linear.

    Raises:
        UserError: for an encoder that timm does not have, naming close ones, and for widths or a gamma out of range.
    """

    paper: ClassVar[str] = "form: Ronneberger et al., MICCAI 2015; encoder: timm"
    input_kind: ClassVar[str] = "packed RAW in gamma encoding"
    untold_options = ("input_gamma",)

    def __init__(
        self,
        encoder: str = "resnet10t",
        pretrained: bool = False,
        decoder_widths: Sequence[int] = (256, 128, 64, 32, 32),
        input_gamma: float = 2.2,
    ) -> None:
        super().__init__()
        if not all(isinstance(width, int) and width > 0 for width in decoder_widths):
            raise UserError(f"model.decoder_widths are whole numbers of at least 1, not {list(decoder_widths)}.")
        self.net: UNet = UNet(timm_encoder(encoder, pretrained), decoder_widths)
        self.multiple = self.net.reductions[-1]
        self.input_gamma = checked_gamma(input_gamma)

    def net_inputs(self, raw: Tensor) -> tuple[Tensor, ...]:
        """RAW without its negative noise, in gamma encoding."""
        return (encode_gamma(raw, self.input_gamma),)

    @classmethod
    def read_options(cls, shapes: Shapes) -> dict[str, Any]:
        """The options that the tensors tell."""
        stages = range(shapes.count("decoder."))
        return {"decoder_widths": [shapes[f"decoder.{stage}.body.0.weight"][0] for stage in stages]}
