"""EfficientISP: three 3x3 convolutions and a PixelShuffle, trained by its authors without paired data.

Reference: Arhire and Timofte, "Learned Lightweight Smartphone ISP with Unpaired Data", CVPR Workshops 2025,
arXiv 2505.10420. RobustISP, of the same paper, is this network with other widths.
"""

from functools import partial
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispbench.models.interface import ISPModel
from ispbench.raw.levels import BGRG_ORDER, ten_bit

# The authors' levels on 10-bit data, in DN: the black levels of the planes B, Gr, R, Gb and the white level.
_BLACK = (62.0, 60.0, 58.0, 61.0)
_WHITE = 1023.0


class ThreeConvNet(nn.Module):
    """The bare network: packed RAW (N, 4, h, w) to RGB (N, 3, 2h, 2w), not negative and not bounded above.

    Args:
        first: Output channels of the first convolution.
        second: Output channels of the second convolution.
    """

    def __init__(self, first: int, second: int) -> None:
        super().__init__()
        conv = partial(nn.Conv2d, kernel_size=3, padding=1)
        self.conv1 = conv(4, first)
        self.conv2 = conv(first, second)
        self.conv3 = conv(second, 12)

    def forward(self, raw: Tensor) -> Tensor:
        """Renders the image of RAW in the order B, Gr, R, Gb, black = 0, white = 1."""
        x = torch.tanh(self.conv1(raw))
        x = F.relu(self.conv2(x))
        return F.pixel_shuffle(F.relu(self.conv3(x)), 2)


class EfficientISP(ISPModel):
    """EfficientISP behind the common interface."""

    paper: ClassVar[str] = "Arhire and Timofte, CVPRW 2025"
    input_kind: ClassVar[str] = "packed RAW (B, Gr, R, Gb), black levels of the authors, a plane each"
    widths: ClassVar[tuple[int, int]] = (12, 12)

    def __init__(self) -> None:
        super().__init__()
        self.net = ThreeConvNet(*self.widths)

    def net_inputs(self, raw: Tensor) -> tuple[Tensor]:
        """10-bit DN on the authors' scale, the planes in the order B, Gr, R, Gb; negative below black."""
        dn = ten_bit(raw, self.black_level, self.white_level)[:, BGRG_ORDER]
        black = dn.new_tensor(_BLACK).view(1, 4, 1, 1)
        return ((dn - black) / (_WHITE - black),)
