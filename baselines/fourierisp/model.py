"""FourierISP: three U-Nets for the phase, the amplitude and the colors of the image.

Reference: He et al., "Enhancing RAW-to-sRGB with Decoupled Style Structure in Fourier Domain", AAAI 2024,
arXiv 2401.02161.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispbench.baselines.fourierisp.blocks import (
    ColourAdaptation,
    FourierBlock,
    HalfNormBlock,
    Refine,
    SupervisedAttention,
    UpBlock,
    conv,
    halve,
)
from ispbench.baselines.fourierisp.official import never_used, own_name
from ispbench.baselines.fourierisp.spectrum import from_polar, to_polar
from ispbench.errors import UserError
from ispbench.models.interface import ISPModel
from ispbench.models.shapes import Shapes
from ispbench.precision import full_precision
from ispbench.raw.demosaic import bilinear
from ispbench.raw.levels import BGRG_ORDER

_LEVELS = 4


def _stem(in_channels: int, width: int, blocks: int = 2) -> nn.Sequential:
    return nn.Sequential(conv(in_channels, width), *(HalfNormBlock(width) for _ in range(blocks)))


class FourierUNet(nn.Module):
    """A U-Net of four levels with `width`, 2, 4 and 8 times `width` channels.

    Args:
        in_channels: Channels that the stem takes.
        width: Channels of the finest level.
        corrects: What the encoder's Fourier branches change, ``phase`` or ``amplitude``; None for none.
        fused: How many further maps the three finer encoder levels fuse.
    """

    def __init__(self, in_channels: int, width: int, corrects: str | None = None, fused: int = 0) -> None:
        super().__init__()
        *fine, coarsest = (width * 2**level for level in range(_LEVELS))
        self.stem = _stem(in_channels, width)
        self.encoder = nn.ModuleList(
            [FourierBlock(max(width, c // 2), c, corrects, fused) for c in fine]
            + [FourierBlock(coarsest // 2, coarsest, corrects)]
        )
        self.down = nn.ModuleList(halve(c, c) for c in fine)
        self.skips = nn.ModuleList(HalfNormBlock(c) for c in reversed(fine))
        self.decoder = nn.ModuleList(UpBlock(c) for c in reversed(fine))

    def encode(self, x: Tensor, context: Sequence[tuple[Tensor, ...]] = ((),) * _LEVELS) -> list[Tensor]:
        """Encodes the stem's output.

        Args:
            x: Shape (N, width, H, W).
            context: For each level the maps to fuse, of the level's shape.

        Returns:
            The four levels from fine to coarse; level i has the shape (N, width * 2^i, H / 2^i, W / 2^i).
        """
        levels = [self.encoder[0](x, *context[0])]
        for block, down, maps in zip(self.encoder[1:], self.down, context[1:], strict=True):
            levels.append(block(down(levels[-1]), *maps))
        return levels

    def decode(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Decodes the encoder's four levels to its three finer ones, again from fine to coarse."""
        *fine, x = levels
        decoded = []
        for block, skip, bridge in zip(self.decoder, self.skips, reversed(fine), strict=True):
            x = block(x, skip(bridge))
            decoded.append(x)
        return decoded[::-1]


class FourierISPNet(nn.Module):
    """The bare network: packed RAW (N, 4, h, w) and demosaiced RAW (N, 3, 2h, 2w) to sRGB (N, 3, 2h, 2w).

    h and w are multiples of 8. `unused` holds parameters that are in the authors' checkpoints but that no forward pass
    uses. Under autocast the spectra stay in float32.

    Args:
        width: Channels of the finest level of each U-Net.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.phase = FourierUNet(4, width, "phase")
        self.phase_up = nn.Sequential(conv(width, 4 * width), nn.PixelShuffle(2))
        self.phase_attention = SupervisedAttention(width)
        self.amplitude = FourierUNet(3, width, "amplitude")
        self.amplitude_attention = SupervisedAttention(width)
        self.colour = FourierUNet(3, width, fused=2)
        self.merge = conv(3 * width, width, 1)
        self.adapt = nn.ModuleList(ColourAdaptation(width * 2**level) for level in range(_LEVELS - 1))
        self.colour_down = nn.ModuleList([halve(width, 2 * width), halve(2 * width, 4 * width)])
        self.restem = _stem(3, width, blocks=1)
        self.refine = nn.ModuleList([Refine(width), Refine(width)])
        self.unused = never_used(width)

    def forward(self, raw: Tensor, demosaic: Tensor) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        """Renders the image.

        Returns:
            In ``eval()`` the image. In ``train()`` the image, then the phase of the phase network's image and
            the amplitude of the amplitude network's, half spectra (N, 3, 2h, w + 1) as `to_polar` gives them.
        """
        phase_encoded = self.phase.encode(self.phase.stem(raw))
        phase_decoded = self.phase.decode(phase_encoded)
        phase_features, phase_image = self.phase_attention(self.phase_up(phase_decoded[0]), demosaic)

        amplitude_decoded = self.amplitude.decode(self.amplitude.encode(self.amplitude.stem(demosaic)))
        amplitude_features, amplitude_image = self.amplitude_attention(amplitude_decoded[0], demosaic)

        with full_precision(demosaic):
            phase = to_polar(phase_image)[1]
            restructured = from_polar(to_polar(demosaic)[0], phase, half_of=demosaic.shape)
        x = self.merge(torch.cat((self.colour.stem(restructured), phase_features, amplitude_features), dim=1))
        context = [
            tuple(F.interpolate(maps, scale_factor=2, mode="bilinear") for maps in pair)
            for pair in zip(phase_encoded[:-1], phase_decoded, strict=True)
        ]
        levels = self.colour.encode(x, [*context, ()])
        colour = amplitude_features
        for level, adapt in enumerate(self.adapt):
            if level:
                colour = self.colour_down[level - 1](colour)
            levels[level] = adapt(levels[level], colour)
        image = self.refine[0](self.colour.decode(levels)[0]) + demosaic
        image = self.refine[1](self.restem(image)) + image
        if not self.training:
            return image
        with full_precision(demosaic):
            return image, phase, to_polar(amplitude_image)[0]


class FourierISP(ISPModel):
    """FourierISP behind the common interface.

    In ``train()`` `forward_scales` returns the image, a phase and an amplitude (see `FourierISPNet.forward`).
    They are spectra of the padded image: train on packed sizes that are multiples of 8, which are not padded.

    Args:
        width: Channels of the finest level of each U-Net, a multiple of 4.

    Raises:
        UserError: for another width.
    """

    multiple = 8
    paper: ClassVar[str] = "He et al., AAAI 2024"
    input_kind: ClassVar[str] = "packed RAW (B, Gr, R, Gb) and bilinear demosaic, black subtracted, clipped at 0"
    unused_parameters = ("unused",)
    net: FourierISPNet

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        if not isinstance(width, int) or width < 4 or width % 4:
            raise UserError(f"model.width is a positive multiple of 4, not {width!r}.")
        self.net = FourierISPNet(width)

    def net_inputs(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Packed RAW in the order B, Gr, R, Gb and its bilinear demosaic, both clipped at 0."""
        raw = raw.clamp_min(0)
        return raw[:, BGRG_ORDER], bilinear(raw)

    def official_state_dict(self, state: Mapping[str, Any]) -> Mapping[str, Any]:
        """The authors' tensors under the names of `net`."""
        return {self._own_name(name): value for name, value in state.items()}

    def _own_name(self, name: str) -> str:
        layer, _, tensor = name.rpartition(".")
        layer = layer.replace(".", "/")
        return f"unused.{layer}.{tensor}" if layer in self.net.unused else own_name(name)

    @classmethod
    def read_options(cls, shapes: Shapes) -> dict[str, Any]:
        """The options that the tensors tell."""
        return {"width": shapes["phase.stem.0.weight"][0]}
