"""PyNET: an inverted pyramid that renders the image at six scales, each level fed by the next coarser one.

Reference: Ignatov, Van Gool, Timofte, "Replacing Mobile Camera ISP with a Single Deep Learning Model", CVPR
Workshops 2020, arXiv 2002.05509. The architecture is that of the authors' PyTorch version, whose weights it
loads.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from ispbench.baselines.pynet.levels import (
    ConvLayer,
    Level0,
    Level1,
    Level2,
    Level3,
    Level4,
    Level5,
    MultiKernelBlock,
)
from ispbench.errors import UserError
from ispbench.models.interface import ISPModel
from ispbench.models.shapes import Shapes
from ispbench.raw.levels import BGRG_ORDER, add_black_level

# Level 5 runs at a sixteenth of the packed size and mirrors one sample, for which it needs two.
_SMALLEST = 32

# Which levels are instance-normalized: level 1, levels 2 to 5.
_INSTANCE_NORM = {"all": (True, True), "coarse": (False, True), "none": (False, False)}

# From the names in the authors' checkpoints to those of `PyNETNet`.
_RENAMES: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"^conv_l([1-4])_d1\.", lambda match: f"encoder.{int(match[1]) - 1}."),
    (r"^conv_l0_d1\.", "heads.0."),
    (r"^conv_l(\d)_out\.", r"heads.\1."),
    (r"^conv_t0\.", "levels.0.up."),
    (r"^conv_l(\d)_(d\d+)\.", r"levels.\1.\2."),
    (r"^conv_t(\d)([ab])\.", r"levels.\1.up_\2."),
    (r"\.conv_(\d)([ab])\.", lambda match: f".branches.{(int(match[1]) - 3) // 2}.{'ab'.index(match[2])}."),
)


class PyNETNet(nn.Module):
    """The bare network. It has the same parameters at every level, and computes what its level needs.

    Args:
        level: The level whose image comes out, 5 (coarsest) to 0 (full size).
        instance_norm: The levels that are instance-normalized: ``all``, ``coarse`` (2 to 5) or ``none``. The
            first block of the encoder, d3 and d14 of level 1, the upsampling and the heads never are.
    """

    def __init__(self, level: int, instance_norm: str) -> None:
        super().__init__()
        if level not in range(6):
            raise UserError(f"model.level is a whole number from 0 (full size) to 5, not {level!r}.")
        if instance_norm not in _INSTANCE_NORM:
            raise UserError(f"model.instance_norm is {', '.join(_INSTANCE_NORM)}, not {instance_norm!r}.")
        fine, coarse = _INSTANCE_NORM[instance_norm]
        self.level = level
        self.encoder = nn.ModuleList(
            [
                MultiKernelBlock(4, 32, 3, norm=False),
                MultiKernelBlock(32, 64, 3, coarse),
                MultiKernelBlock(64, 128, 3, coarse),
                MultiKernelBlock(128, 256, 3, coarse),
            ]
        )
        self.levels = nn.ModuleList(
            [Level0(), Level1(fine), Level2(coarse), Level3(coarse), Level4(coarse), Level5(coarse)]
        )
        self.heads = nn.ModuleList(
            ConvLayer(channels, 3, 3, norm=False, activate=False) for channels in (16, 32, 64, 128, 256, 512)
        )

    def forward(self, raw: Tensor) -> Tensor:
        """Renders the image of one level.

        Args:
            raw: Packed Bayer planes B, Gr, R, Gb over the white level, the black level kept, shape
                (N, 4, h, w), h and w multiples of 16 and at least 32.

        Returns:
            The image in (0, 1), shape (N, 3, 2h, 2w) at level 0, (N, 3, h, w) at level 1, and so on down to
            (N, 3, h/16, w/16) at level 5.
        """
        skips = []
        x = raw
        for block in self.encoder:
            x = block(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.levels[5](x)
        for level in range(4, self.level - 1, -1):
            x = self.levels[level](x, skips[level - 1]) if level else self.levels[0](x)
        return self.heads[self.level](x).sigmoid()


class PyNET(ISPModel):
    """PyNET behind the common interface.

    Progressive training goes from level 5 down to 0, each level starting from the weights of the one before:
    the parameter names are the same at every level. The image of level L is 2^L times smaller on each side:
    `forward` returns (N, 3, 2h / 2^L, 2w / 2^L). Level 0, the full size, is the finished network.

    Instance normalization uses the statistics of the whole input, so that a tile does not render like the same
    area of the whole image.

    Args:
        level: The level whose image comes out, 5 to 0.
        instance_norm: The levels that are instance-normalized: ``all`` (as in the authors' PyTorch version),
            ``coarse`` (levels 2 to 5, as in their TensorFlow version) or ``none``.

    Attributes:
        unused_parameters: At this level: the heads of all other levels and, above level 0, the finer levels.

    Raises:
        UserError: for an unknown level or choice of normalization.
    """

    net: PyNETNet
    multiple = 16
    minimum = _SMALLEST
    paper: ClassVar[str] = "Ignatov et al., CVPR Workshops 2020"
    input_kind: ClassVar[str] = "packed RAW (B, Gr, R, Gb), black level kept"
    untold_options = ("level",)

    def __init__(self, level: int = 0, instance_norm: str = "all") -> None:
        super().__init__()
        self.net = PyNETNet(level, instance_norm)
        finer_levels = tuple(f"levels.{other}." for other in range(level))
        other_heads = tuple(f"heads.{other}." for other in range(6) if other != level)
        self.unused_parameters = finer_levels + other_heads

    def net_inputs(self, raw: Tensor) -> tuple[Tensor, ...]:
        """The planes in the authors' order, over the white level, the black level not subtracted."""
        return (add_black_level(raw[:, BGRG_ORDER], self.black_level, self.white_level),)

    def official_state_dict(self, state: Mapping[str, Any]) -> Mapping[str, Any]:
        """The authors' tensors under the names of `net`."""
        return {_own_name(name): value for name, value in state.items()}

    @classmethod
    def read_options(cls, shapes: Shapes) -> dict[str, Any]:
        """The options that the tensors tell."""
        coarse, fine = shapes.has("encoder.1.branches.0.0.instance."), shapes.has("levels.1.d5.branches.0.0.instance.")
        [name] = [name for name, levels in _INSTANCE_NORM.items() if levels == (fine, coarse)]
        return {"instance_norm": name}


def _own_name(name: str) -> str:
    for pattern, replacement in _RENAMES:
        name = re.sub(pattern, replacement, name)
    return name
