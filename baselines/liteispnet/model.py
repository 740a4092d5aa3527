"""LiteISPNet: a light wavelet U-Net of residual channel attention groups that knows the position of each pixel.

Reference: Z. Zhang et al., "Learning RAW-to-sRGB Mappings with Inaccurately Aligned Supervision", ICCV 2021, arXiv
2108.08119.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispbench.errors import UserError
from ispbench.models.coordinates import coordinate_grid
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

# PreCoord sees the RAW at this size, whatever was fed.
_PRECOORD_SIZE = (224, 224)
# What a 448 x 448 patch of ZRR covers of the 3968 x 2976 photo that it was cut from.
_PATCH_EXTENT = (448 / 3968, 448 / 2976)


class PreCoord(nn.Module):
    """Estimates the position of a patch's center in its photo, (N, 2, 1, 1), from linear packed RAW (N, 4, h, w)."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(
            *(nn.Sequential(nn.Conv2d(c, 64, 3, stride=2), nn.ReLU(inplace=True)) for c in (4, 64, 64, 64))
        )
        self.fc = nn.Sequential(nn.Linear(64 * 13 * 13, 256), nn.ReLU(inplace=True), nn.Linear(256, 2))

    def forward(self, raw: Tensor) -> Tensor:
        """Returns x and y of the center, each in [-1, 1]."""
        raw = F.interpolate(raw, _PRECOORD_SIZE, mode="bilinear", align_corners=True)
        position = self.fc(self.down(raw).flatten(1))
        return (0.1 * position).clamp(-1, 1)[..., None, None]


class LiteISPNet(nn.Module):
    """The bare network, RAW (N, 4, h, w) and coordinates (N, 2, h, w) to sRGB (N, 3, 2h, 2w), unclamped.

    The RAW is linear and at least 0; the network itself raises it to 1/2.2. The only activations are those inside the
    residual channel attention blocks. h and w are multiples of 8.

    Args:
        width: Channels of the head; the two deepest levels have twice as many.
        blocks: Residual channel attention blocks in each of the eight groups.
        precoord: Whether a `PreCoord` shifts the coordinates.
    """

    def __init__(self, width: int = 64, blocks: int = 4, precoord: bool = False) -> None:
        super().__init__()
        group = partial(ResidualChannelAttentionGroup, blocks=blocks)
        placed, narrow, wide = width + 2, width, 2 * width
        self.pre_coord = PreCoord() if precoord else None
        self.head = conv3x3(4, narrow)
        self.down1 = nn.Sequential(conv3x3(placed, placed), group(placed), conv3x3(placed, narrow), Haar())
        self.down2 = nn.Sequential(conv3x3(4 * narrow, narrow), group(narrow), Haar())
        self.down3 = nn.Sequential(conv3x3(4 * narrow, wide), group(wide), Haar())
        self.middle = nn.Sequential(conv3x3(4 * wide, wide), group(wide), group(wide), conv3x3(wide, 4 * wide))
        self.up3 = nn.Sequential(InverseHaar(), group(wide), conv3x3(wide, 4 * narrow))
        self.up2 = nn.Sequential(InverseHaar(), group(narrow), conv3x3(narrow, 4 * narrow))
        self.up1 = nn.Sequential(InverseHaar(), group(narrow), conv3x3(narrow, narrow))
        self.tail = nn.Sequential(conv3x3(narrow, 4 * narrow), nn.PixelShuffle(2), conv3x3(narrow, 3))

    def forward(self, raw: Tensor, coord: Tensor) -> Tensor:
        """Renders the image of packed RAW in the order of ``BGRG_ORDER``.

        Args:
            raw: Linear, at least 0.
            coord: A `coordinate_grid` of `raw`: of extents 1 and 1, or with PreCoord of the share of the photo that a
                patch covers.
        """
        if self.pre_coord is not None:
            coord = coord + self.pre_coord(raw)
        head = self.head(raw.pow(1 / 2.2))
        # Autocast makes the head narrower than the coordinates, and cat would widen it again.
        down1 = self.down1(torch.cat((head, coord.to(head.dtype)), 1))
        down2 = self.down2(down1)
        down3 = self.down3(down2)
        x = self.middle(down3) + down3
        x = self.up3(x) + down2
        x = self.up2(x) + down1
        x = self.up1(x) + head
        return self.tail(x)


class LiteISP(ISPModel):
    """LiteISPNet behind the common interface.

    The coordinates are relative to the input, a patch in training, so that tiles differ from the whole image.

    Args:
        width: Channels of the head, at least 16.
        blocks: Residual channel attention blocks in a group.
        precoord: Whether a network estimates the position of the patch in the photo, with 2.9 M further parameters, as
            the paper counts them; the authors' released configuration has none.

    Raises:
        UserError: for a size that is too small or not a whole number, or a `precoord` other than true or false.
    """

    multiple = 8
    paper: ClassVar[str] = "Zhang et al., ICCV 2021, arXiv 2108.08119"
    input_kind: ClassVar[str] = "packed RAW (B, Gr, R, Gb), linear, at least 0, and pixel coordinates"

    def __init__(self, width: int = 64, blocks: int = 4, precoord: bool = False) -> None:
        super().__init__()
        check_sizes(width, blocks)
        if not isinstance(precoord, bool):
            raise UserError(f"model.precoord is true or false, not {precoord!r}.")
        self.net = LiteISPNet(width, blocks, precoord)
        self._extent = _PATCH_EXTENT if precoord else (1.0, 1.0)

    def net_inputs(self, raw: Tensor) -> tuple[Tensor, ...]:
        """The planes in the authors' order, noise below black clipped, and the coordinates of their pixels."""
        return raw[:, BGRG_ORDER].clamp_min(0), coordinate_grid(raw, *self._extent)

    def official_state_dict(self, state: Mapping[str, Any]) -> Mapping[str, Any]:
        """The authors' tensors without the frozen Haar filters.

        Raises:
            UserError: if the tensors contain a PreCoord and this model does not.
        """
        if self.net.pre_coord is None and any(name.startswith("pre_coord.") for name in state):
            raise UserError("These weights hold a PreCoord; build liteispnet with model.precoord=true for them.")
        return drop_haar_filters(self.net, state)

    @classmethod
    def read_options(cls, shapes: Shapes) -> dict[str, Any]:
        """The options that the tensors tell."""
        return {
            "width": shapes["head.weight"][0],
            "blocks": shapes.count("middle.1.rg.") - 1,  # without the closing convolution
            "precoord": shapes.has("pre_coord."),
        }
