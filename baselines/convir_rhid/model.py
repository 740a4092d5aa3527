"""ConvIR as an ISP, as the RHID project ported it: a convolutional restoration U-Net with self-predicted filters.

Method: Cui et al., "Revitalizing Convolutional Network for Image Restoration", TPAMI 2024. Port: TIANLE233/MisISP, the
code of another paper ("Learning Deep ISP for High-Speed Cameras"), which drops the original's side outputs and its
image residual.
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispbench.baselines.convir_rhid.filters import MultiScalePool
from ispbench.errors import UserError
from ispbench.models.interface import ISPModel
from ispbench.models.shapes import Shapes
from ispbench.raw.levels import BGRG_ORDER, add_black_level

# From the names in the port's checkpoints to those of `ConvIRNet`, in this order.
_RENAMES = (
    (r"\.main\.0\.(weight|bias)$", r".\1"),  # the port wraps each convolution
    (r"^feat_extract\.0\.", "head."),
    (r"^feat_extract\.([12])\.", lambda match: f"down.{int(match[1]) - 1}."),
    (r"^feat_extract\.([34])\.", lambda match: f"up.{int(match[1]) - 3}."),
    (r"^(En|De)coder\.", lambda match: match[0].lower()),
    (r"^Convs\.", "fuse."),
    (r"^SCM([12])\.main\.", lambda match: f"guide.{2 - int(match[1])}.convs."),
    (r"convs\.4\.", "norm."),
    (r"^FAM([12])\.merge\.", lambda match: f"merge.{2 - int(match[1])}."),
    (r"^output\.0\.", "tail."),
    (r"^ConvsOut\.", "unused_sides."),
    (r"\.layers\.", "."),
    (r"\.main\.0\.", ".first."),
    (r"\.main\.1\.", ".pool."),
    (r"\.main\.2\.", ".last."),
    (r"conv_sum", "merge"),
    (r"\.dynas\.", ".filters."),
    (r"square_att", "square"),
    (r"strip_att", "strip"),
    (r"H_spatial_att", "horizontal"),
    (r"W_spatial_att", "vertical"),
)

_conv3 = partial(nn.Conv2d, kernel_size=3, padding=1)


class ResidualBlock(nn.Module):
    """Two convolutions around a GELU with a residual; optionally `MultiScalePool` between them."""

    def __init__(self, channels: int, pool: bool) -> None:
        super().__init__()
        self.first = _conv3(channels, channels)
        self.pool = MultiScalePool(channels) if pool else nn.Identity()
        self.last = _conv3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same shape."""
        return x + self.last(self.pool(F.gelu(self.first(x))))


class ShallowGuide(nn.Module):
    """Features of the subsampled RAW for a coarser level, instance normalized."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        quarter, half = channels // 4, channels // 2
        self.convs = nn.ModuleList(
            [_conv3(4, quarter), nn.Conv2d(quarter, half, 1), _conv3(half, half), nn.Conv2d(half, channels, 1)]
        )
        self.norm = nn.InstanceNorm2d(channels, affine=True)

    def forward(self, raw: Tensor) -> Tensor:
        """Maps (N, 4, H, W) to (N, C, H, W)."""
        *convs, last = self.convs
        for conv in convs:
            raw = F.gelu(conv(raw))
        return self.norm(last(raw))


class ConvIRNet(nn.Module):
    """The bare network: packed RAW (N, 4, h, w) to RGB (N, 3, 2h, 2w), without activation or clamping.

    The planes are B, Gr, R, Gb as DN / white level; h and w are multiples of 32 and at least 128.

    Args:
        width: Channels of the finest level; each coarser one has twice as many.
        blocks: Residual blocks of a stage, the last of them with dynamic filters.
    """

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()

        def stage(channels: int) -> nn.Sequential:
            return nn.Sequential(*(ResidualBlock(channels, pool=block == blocks - 1) for block in range(blocks)))

        def up(channels: int) -> nn.Module:
            return nn.ConvTranspose2d(channels, channels // 2, 4, stride=2, padding=1)

        fine, half, quarter = width, 2 * width, 4 * width
        self.head = _conv3(4, fine)
        self.down = nn.ModuleList([_conv3(fine, half, stride=2), _conv3(half, quarter, stride=2)])
        self.guide = nn.ModuleList([ShallowGuide(half), ShallowGuide(quarter)])
        self.merge = nn.ModuleList([_conv3(2 * half, half), _conv3(2 * quarter, quarter)])
        self.encoder = nn.ModuleList(map(stage, (fine, half, quarter)))
        self.decoder = nn.ModuleList(map(stage, (quarter, half, fine)))
        self.up = nn.ModuleList(map(up, (quarter, half)))
        self.fuse = nn.ModuleList([nn.Conv2d(quarter, half, 1), nn.Conv2d(half, fine, 1)])
        self.tail = _conv3(fine, 12)
        self.unused_sides = nn.ModuleList([_conv3(quarter, 3), _conv3(half, 3)])  # of the original network

    def forward(self, raw: Tensor) -> Tensor:
        """Renders the image.

        Raises:
            UserError: when a single image trains, as the batch norm of 1x1 maps cannot.
        """
        if self.training and len(raw) < 2:
            raise UserError("convir_rhid trains with batch norm on 1x1 maps: give it batches of at least 2 images.")
        shallow = F.gelu(self.head(raw))
        x = self.encoder[0](shallow)
        skips = []
        for level, (down, guide, merge) in enumerate(zip(self.down, self.guide, self.merge, strict=True), start=1):
            skips.append(x)
            step = 2**level
            x = merge(torch.cat((F.gelu(down(x)), guide(raw[..., ::step, ::step])), 1))
            x = self.encoder[level](x)
        x = self.decoder[0](x)
        for up, fuse, stage in zip(self.up, self.fuse, self.decoder[1:], strict=True):
            x = stage(F.gelu(fuse(torch.cat((F.gelu(up(x)), skips.pop()), 1))))
        return F.pixel_shuffle(self.tail(x + shallow), 2)


class ConvIRRHID(ISPModel):
    """The RHID project's ConvIR behind the common interface.

    Its filters follow from means over the whole map: a tile does not render like the same area of the whole image.

    Args:
        width: Channels of the finest level, a multiple of 8.
        blocks: Residual blocks of each of the six stages.

    Raises:
        UserError: for a size that makes no network.
    """

    multiple = 32
    minimum = 128
    paper: ClassVar[str] = "Cui et al., TPAMI 2024, as ported by the RHID project"
    input_kind: ClassVar[str] = "packed RAW (B, Gr, R, Gb), black kept"
    unused_parameters = ("unused_sides.",)

    def __init__(self, width: int = 32, blocks: int = 8) -> None:
        super().__init__()
        if not isinstance(width, int) or width < 8 or width % 8:
            raise UserError(f"model.width is a positive multiple of 8, not {width!r}.")
        if not isinstance(blocks, int) or blocks < 1:
            raise UserError(f"model.blocks is a whole number of at least 1, not {blocks!r}.")
        self.net = ConvIRNet(width, blocks)

    def net_inputs(self, raw: Tensor) -> tuple[Tensor]:
        """The planes in the order B, Gr, R, Gb, as DN / white level."""
        return (add_black_level(raw[:, BGRG_ORDER], self.black_level, self.white_level),)

    def official_state_dict(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The port's tensors under the names of `net`."""
        return {_own_name(name): tensor for name, tensor in state.items()}

    @classmethod
    def read_options(cls, shapes: Shapes) -> dict[str, Any]:
        """The options that the tensors tell."""
        return {"width": shapes["head.weight"][0], "blocks": shapes.count("encoder.0.")}


def _own_name(name: str) -> str:
    for pattern, replacement in _RENAMES:
        name = re.sub(pattern, replacement, name)
    return name
