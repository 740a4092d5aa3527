"""MicroISP: 14 thousand parameters, two stages of three small branches, one branch per color.

Reference: Ignatov et al., "MicroISP: Processing 32MP Photos on Mobile Devices with Deep Learning", ECCV
Workshops 2022, arXiv 2211.06770. The branches of a stage never mix, so they stand here as one branch of
grouped convolutions: the same arithmetic and parameters in a third of the calls.
"""

from collections.abc import Mapping
from itertools import count
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispbench.errors import UserError
from ispbench.models.interface import ISPModel
from ispbench.models.shapes import Shapes
from ispbench.raw.levels import BGRG_ORDER, add_black_level

_COLOURS = 3
_PLANES = 4  # maps of a branch; at the end the 2x2 pixels of its color
_WIDTH = _COLOURS * _PLANES
_SMALLEST = 79  # what a 1x1 and three 3x3 convolutions of stride 3 without padding leave one pixel of


def _conv_prelu(in_channels: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Sequential:
    groups = in_channels // _PLANES  # one a branch, or a single one for the packed RAW, which all branches read
    conv = nn.Conv2d(in_channels, _WIDTH, kernel, stride, padding, groups=groups)
    return nn.Sequential(conv, nn.PReLU(_WIDTH, init=0.0))


class Attention(nn.Module):
    """A gate for each channel of a feature map, shape (N, 12, h, w) to (N, 12, 1, 1).

    The four layers of stride 3 have no padding: they ignore up to 80 rows and columns at the end of a map and need
    at least 79 x 79. A smaller map is extended to that by repeating its last row and column.
    """

    def __init__(self) -> None:
        super().__init__()
        self.shrink = nn.Sequential(
            _conv_prelu(_WIDTH, 1, stride=3), *(_conv_prelu(_WIDTH, 3, stride=3) for _ in range(3))
        )
        self.hidden = _conv_prelu(_WIDTH, 1)
        self.gate = nn.Conv2d(_WIDTH, _WIDTH, 1, groups=_COLOURS)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the gates, in (0, 1)."""
        pad_bottom, pad_right = (max(0, _SMALLEST - size) for size in x.shape[-2:])
        if pad_bottom or pad_right:
            x = F.pad(x, (0, pad_right, 0, pad_bottom), mode="replicate")
        x = self.shrink(x).mean((2, 3), keepdim=True)
        return torch.sigmoid(self.gate(self.hidden(x)))


class GatedUnit(nn.Module):
    """Three convolutions; the result of the third, gated by `Attention`, is added to that of the first."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.first = _conv_prelu(in_channels, 3, padding=1)
        self.second = _conv_prelu(_WIDTH, 3, padding=1)
        self.third = _conv_prelu(_WIDTH, 3, padding=1)
        self.attention = Attention()

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, `in_channels`, h, w) to (N, 12, h, w)."""
        skip = self.first(x)
        x = self.third(self.second(skip))
        return x * self.attention(x) + skip


class Stage(nn.Module):
    """The three branches of a stage: packed RAW or the color maps of the stage before to color maps.

    Args:
        in_channels: 4 for RAW, which all branches read, or 12 for color maps, four to each branch.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.units = nn.Sequential(GatedUnit(in_channels), GatedUnit(_WIDTH))
        self.tail = _conv_prelu(_WIDTH, 3, padding=1)
        self.out = nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1, groups=_COLOURS)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, `in_channels`, h, w) to (N, 12, h, w) in (-1, 1), four planes each for R, G and B."""
        return torch.tanh(self.out(self.tail(self.units(x))))


class MicroISPNet(nn.Module):
    """The bare network: packed RAW (N, 4, h, w) in the order B, Gb, R, Gr to sRGB (N, 3, 2h, 2w).

    The authors' graph needs h and w of at least 79; below that, `Attention` extends its input.

    Args:
        stages: The number of stages, 2 in the paper.
    """

    def __init__(self, stages: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(Stage(_WIDTH if index else _PLANES) for index in range(stages))

    def forward(self, raw: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Renders the image, range (-0.08, 1.08); in training mode also each earlier stage's, last first."""
        maps = []
        for stage in self.stages:
            raw = stage(raw)
            maps.append(raw)
        if not self.training:
            return _image(raw)
        return tuple(_image(colours) for colours in reversed(maps))


def _image(maps: Tensor) -> Tensor:
    return F.pixel_shuffle(maps * 0.58 + 0.5, 2)


class MicroISP(ISPModel):
    """MicroISP behind the common interface, for RAW of any size.

    Args:
        stages: The number of stages.

    Raises:
        UserError: if `stages` is not a positive whole number.
    """

    net: MicroISPNet
    paper: ClassVar[str] = "Ignatov et al., ECCVW 2022, arXiv 2211.06770"
    input_kind: ClassVar[str] = "packed RAW in the order B, Gb, R, Gr, black level kept"

    def __init__(self, stages: int = 2) -> None:
        super().__init__()
        if not isinstance(stages, int) or stages < 1:
            raise UserError(f"model.stages is a whole number of at least 1, not {stages!r}.")
        self.net = MicroISPNet(stages)

    def net_inputs(self, raw: Tensor) -> tuple[Tensor]:
        """The packed RAW over the white level, in the authors' order."""
        return (add_black_level(raw[:, BGRG_ORDER], self.black_level, self.white_level),)

    def official_state_dict(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The variables of the authors' TensorFlow checkpoint, kernels HWIO, as the state of `net`."""
        rest = dict(state)
        mapped: dict[str, Any] = {}
        for index, stage in enumerate(self.net.stages):
            for name, variables in _variables(index + 1, stage).items():
                if all(variable in rest for variable in variables):
                    branches = [_torch_layout(rest.pop(variable)) for variable in variables]
                    mapped[f"stages.{index}.{name}"] = torch.cat(branches)
        return mapped | rest

    @classmethod
    def read_options(cls, shapes: Shapes) -> dict[str, Any]:
        """The options that the tensors tell."""
        return {"stages": shapes.count("stages.")}


def _variables(number: int, stage: nn.Module) -> dict[str, list[str]]:
    """The parameters of a stage, and the three checkpoint variables, one per branch, that each consists of.

    A `Stage` registers its layers in the order of each of the three numberings in the checkpoint: of the
    convolutions of a branch, of the variables of its attention, and of its PReLU slopes, which alone goes on from
    stage to stage.

    Args:
        number: The number of the stage, from 1.
        stage: The stage.
    """
    convs, attention, slopes = count(), count(), count()
    variables = {}
    for name in stage.state_dict():
        if name.endswith(".1.weight"):
            position = 51 * (number - 1) + next(slopes)
            branches = [f"p_re_lu{_suffix(position + 17 * branch)}/alpha" for branch in range(_COLOURS)]
        elif ".attention." in name:
            position = next(attention)
            branches = [f"Variable{_suffix(position + 24 * branch)}" for branch in range(_COLOURS)]
        else:
            label = "out" if name.startswith("out.") else next(convs) // 2
            kind = "w" if name.endswith("weight") else "b"
            branches = [f"{branch}_{kind}{number}_{label}" for branch in range(_COLOURS)]
        variables[name] = [f"generator-{number}/{branch}" for branch in branches]
    return variables


def _suffix(position: int) -> str:
    return f"_{position}" if position else ""


def _torch_layout(value: Any) -> Tensor:
    tensor = torch.as_tensor(value)
    return tensor.permute(3, 2, 0, 1) if tensor.ndim == 4 else tensor.flatten()
