"""A classical ISP without learning: the sanity check of every table.

Gray-world white balance, demosaicing, a fixed color matrix, gamma. A learned ISP that scores below it has the wrong CFA
order, black level or bit depth.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from ispbench.baselines.classical.demosaic import demosaicer
from ispbench.errors import UserError
from ispbench.models.interface import ISPModel


class ClassicalNet(nn.Module):
    """The pipeline, canonical packed RAW (N, 4, h, w) to sRGB (N, 3, 2h, 2w) in [0, 1].

    Args:
        matrix: Camera RGB to linear sRGB, three rows that sum to 1.
        gamma: The display gamma.
        demosaic: ``bilinear``, ``malvar`` or ``menon``.
    """

    matrix: Tensor

    def __init__(self, matrix: Sequence[Sequence[float]], gamma: float, demosaic: str) -> None:
        super().__init__()
        self.demosaic = demosaicer(demosaic)
        self.register_buffer("matrix", torch.tensor(matrix), persistent=False)
        self.gamma = gamma

    def forward(self, raw: Tensor) -> Tensor:
        """Renders each image with its own white balance."""
        rgb = self.demosaic(raw.clamp(0, 1)).clamp(0, 1)  # Malvar and Menon overshoot at edges
        means = rgb.mean((2, 3), keepdim=True)
        # Gray world: the scene averages to gray. Saturated pixels stay white.
        balanced = (rgb * means[:, 1:2] / means.clamp_min(1e-6)).clamp(0, 1)
        linear = torch.einsum("ij,njhw->nihw", self.matrix, balanced)
        return linear.clamp(0, 1).pow(1 / self.gamma)


class Classical(ISPModel):
    """The classical pipeline behind the common interface.

    Args:
        matrix: Camera RGB to linear sRGB, three rows that sum to 1.
        gamma: The display gamma.
        demosaic: ``bilinear``; ``malvar`` (Malvar et al. 2004) or ``menon`` (Menon et al. 2007) of the package
            colour-demosaicing, on the CPU.

    Raises:
        UserError: for another matrix or demosaicing, or when the package is not installed.
    """

    paper: ClassVar[str] = "none (grey world, demosaic, matrix, gamma)"

    def __init__(self, matrix: Sequence[Sequence[float]], gamma: float = 2.2, demosaic: str = "bilinear") -> None:
        super().__init__()
        if len(matrix) != 3 or any(len(row) != 3 for row in matrix):
            raise UserError("model.matrix has three rows of three numbers: camera RGB to linear sRGB.")
        self.net = ClassicalNet([list(row) for row in matrix], gamma, demosaic)
