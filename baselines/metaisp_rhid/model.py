"""MetaISP as the RHID project ported it: a third-party form of the network, kept in addition to our reconstruction.

Method: Chen et al., "MetaISP: Efficient RAW-to-sRGB Mappings with Merely 1M Parameters", IJCAI 2024, pages
686-694 (no arXiv version known). Port: TIANLE233/MisISP, the code of another paper ("Learning Deep ISP for
High-Speed Cameras").
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispbench.errors import UserError
from ispbench.models.interface import ISPModel
from ispbench.models.metaisp.blocks import ChannelCorrection, SpatialCorrection
from ispbench.models.metaisp.predictor import Predictor
from ispbench.models.shapes import Shapes
from ispbench.raw.levels import BGRG_ORDER, add_black_level, checked_gamma, encode_gamma

# The parts of the port's tensor names that differ from ours.
_NAMES = {
    "shallow_feature_extraction": "head",
    "base_matrices": "bases",
    "ln": "norm",
    "conv3": "conv",
    "conv3_up": "project",
    "conv3_down": "back",
    "predict_module": "predictor",
    "dw_conv": "spatial",
    "conv1": "hidden",
    "conv2": "out",
}


class SummedSpatialCorrection(SpatialCorrection):
    """MSCB of the port: pixels of Y are scaled by the sum of their normalized channels times that of V.

    The paper's cosine similarity sums the products of the two instead.
    """

    def attention(self, y: Tensor, weights: Tensor) -> Tensor:
        """The spatial attention map S, shape (B, 1, H, W), in [-K, K]."""
        precision = torch.promote_types(y.dtype, torch.float32)
        vector = F.normalize((weights @ self.bases).to(precision), dim=1).sum(1).view(-1, 1, 1, 1)
        pixels = y.to(precision)
        norm = torch.linalg.vector_norm(pixels, dim=1, keepdim=True).clamp_min(1e-12)
        return (vector * pixels.sum(1, keepdim=True) / norm).to(y.dtype)

    def correct(self, y: Tensor, weights: Tensor) -> Tensor:
        """Scales the pixels of Y, shapes (B, K, H, W) and (B, N)."""
        return y * self.attention(y, weights)


_SPATIAL = {"sums": SummedSpatialCorrection, "cosine": SpatialCorrection}


class MetaISPRHIDNet(nn.Module):
    """The bare network, packed RAW (B, 4, h, w) to sRGB (B, 3, 2h, 2w), h and w multiples of 8.

    Args:
        width: C, the channels of the first three stages; the bottleneck has 2C.
        num_bases: N, the number of basis matrices and vectors of a block.
        basis_dim: K, their dimension.
        spatial: ``sums`` or ``cosine``, the spatial weighting of the port or of the paper.
    """

    def __init__(self, width: int, num_bases: int, basis_dim: int, spatial: str) -> None:
        super().__init__()

        def pair(channels: int) -> nn.Module:
            predictor = partial(Predictor, channels, num_bases)
            blocks = nn.Sequential()
            for name, correction in (("mccb", ChannelCorrection), ("mscb", _SPATIAL[spatial])):
                block = correction(channels, basis_dim, num_bases, predictor)
                # The port starts from plain random weights, unlike our MetaISP.
                nn.init.normal_(block.bases)
                block.back.reset_parameters()
                blocks.add_module(name, block)
            return blocks

        def down(channels: int, out_channels: int) -> nn.Module:
            return nn.Sequential(pair(channels), nn.Conv2d(channels, out_channels, 3, stride=2, padding=1))

        def up(channels: int, out_channels: int) -> nn.Module:
            transposed = partial(nn.ConvTranspose2d, kernel_size=3, stride=2, padding=1, output_padding=1)
            return nn.Sequential(pair(channels), transposed(channels, out_channels))

        self.head = nn.Conv2d(4, width, 3, padding=1)
        self.down1 = down(width, width)
        self.down2 = down(width, width)
        self.down3 = down(width, 2 * width)
        self.middle1 = pair(2 * width)
        self.middle2 = pair(2 * width)
        self.up3 = up(2 * width, width)
        self.up2 = up(width, width)
        self.up1 = up(width, width)
        self.tail = nn.Sequential(
            nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.Conv2d(width, 3, 3, padding=1)
        )

    def forward(self, raw: Tensor) -> Tensor:
        """Renders the image."""
        full = self.head(raw)
        half = self.down1(full)
        quarter = self.down2(half)
        x = self.middle2(self.middle1(self.down3(quarter)))
        x = self.up3(x) + quarter
        x = self.up2(x) + half
        return self.tail(self.up1(x) + full)


class MetaISPRHID(ISPModel):
    """The RHID project's MetaISP behind the common interface.

    Args:
        width: C, the channels of the first three stages.
        num_bases: N.
        basis_dim: K.
        spatial: ``sums`` or ``cosine``, the spatial weighting of the port or of the paper.
        input_gamma: RAW enters as in the port if 1, else without its black level as ``x^(1/input_gamma)``.

    Raises:
        UserError: for an impossible size, weighting or gamma.
    """

    multiple = 8
    paper: ClassVar[str] = "Chen et al., IJCAI 2024, as ported by the RHID project"
    input_kind: ClassVar[str] = "packed RAW (B, Gr, R, Gb), black kept"
    untold_options = ("spatial", "input_gamma")

    def __init__(
        self,
        width: int = 32,
        num_bases: int = 10,
        basis_dim: int = 40,
        spatial: str = "sums",
        input_gamma: float = 1.0,
    ) -> None:
        super().__init__()
        self.input_gamma = checked_gamma(input_gamma)
        for name, value in (("width", width), ("num_bases", num_bases), ("basis_dim", basis_dim)):
            if not isinstance(value, int) or value < 1:
                raise UserError(f"model.{name} is a whole number of at least 1, not {value!r}.")
        if spatial not in _SPATIAL:
            raise UserError(f"model.spatial is {' or '.join(_SPATIAL)}, not {spatial!r}.")
        self.net = MetaISPRHIDNet(width, num_bases, basis_dim, spatial)

    def net_inputs(self, raw: Tensor) -> tuple[Tensor, ...]:
        """Packed RAW in the order B, Gr, R, Gb with its black level, or in gamma encoding without it."""
        if self.input_gamma != 1:
            return (encode_gamma(raw[:, BGRG_ORDER], self.input_gamma),)
        return (add_black_level(raw[:, BGRG_ORDER], self.black_level, self.white_level),)

    def official_state_dict(self, state: Mapping[str, Any]) -> Mapping[str, Any]:
        """The port's tensors under the names of `net`, which is linear where the port convolves one pixel."""
        own: dict[str, Any] = {}
        for name, value in state.items():
            name = ".".join(_NAMES.get(part, part) for part in name.split("."))
            flat = name.endswith(("mscb.bases", "hidden.weight", "out.weight"))
            own[name] = value.reshape(len(value), -1) if flat else value
        return own

    @classmethod
    def read_options(cls, shapes: Shapes) -> dict[str, Any]:
        """The options that the tensors tell."""
        num_bases, basis_dim, _ = shapes["middle1.mccb.bases"]
        return {"width": shapes["head.weight"][0], "num_bases": num_bases, "basis_dim": basis_dim}
