"""RMFA-Net tiny: texture and tone blocks at full resolution, on RAW split into three sparse color planes.

Method: Li, Hou and Jia, "RMFA-Net: A Neural ISP for Real RAW to RGB Image Reconstruction", 2024, arXiv 2406.11469.
The form is that of the code of Arhire and Timofte, "Learned Lightweight Smartphone ISP with Unpaired Data", CVPR
Workshops 2025, arXiv 2505.10420, whose weights are public; the authors of RMFA-Net published no code.
"""

from functools import partial
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispbench.errors import UserError
from ispbench.models.interface import ISPModel
from ispbench.models.shapes import Shapes
from ispbench.raw.levels import ten_bit

# Subtracted and divided by on 10-bit data, in DN; the division does not account for the subtraction.
_BLACK = 63.0
_WHITE = 1023.0
# What stands in a color plane where the mosaic has another color.
_MISSING = 1.0

_conv3 = partial(nn.Conv2d, kernel_size=3, padding=1)
_upsample = partial(F.interpolate, mode="bilinear", align_corners=False)


class Texture(nn.Module):
    """Half of the channels from each pixel by itself, half from its 3x3 neighborhood."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.high_freq = nn.Sequential(nn.Conv2d(width, width // 2, 1), nn.ReLU())
        self.low_freq = nn.Sequential(_conv3(width, width // 2), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same shape."""
        return torch.cat((self.high_freq(x), self.low_freq(x)), 1)


class ToneMapping(nn.Module):
    """Subtracts an illumination that is estimated at half and a quarter of the size, after Retinex."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.level1 = nn.Sequential(nn.AvgPool2d(2), _conv3(width, width), nn.ReLU())
        self.level2 = nn.Sequential(nn.AvgPool2d(2), _conv3(width, width), nn.ReLU())
        self.level3 = nn.Sequential(_conv3(width, width), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same shape."""
        half = self.level1(x)
        quarter = self.level3(self.level2(half))
        illumination = _upsample(half + _upsample(quarter, scale_factor=2), scale_factor=2)
        if illumination.shape != x.shape:
            illumination = _upsample(illumination, size=x.shape[-2:])
        return x - illumination


class ChannelAttention(nn.Module):
    """Gates channels by their mean and maximum through one shared perceptron."""

    def __init__(self, width: int, reduction: int = 16) -> None:
        super().__init__()
        conv = partial(nn.Conv2d, kernel_size=1, bias=False)
        self.fc = nn.Sequential(conv(width, width // reduction), nn.ReLU(), conv(width // reduction, width))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same shape."""
        scores = self.fc(x.mean((2, 3), keepdim=True)) + self.fc(x.amax((2, 3), keepdim=True))
        return scores.sigmoid() * x


class SpatialAttention(nn.Module):
    """Gates positions by the mean and the maximum of their channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same shape."""
        pooled = torch.cat((x.mean(1, keepdim=True), x.amax(1, keepdim=True)), 1)
        return self.conv(pooled).sigmoid() * x


class RMFABlock(nn.Module):
    """Texture and tone side by side, fused and gated by channel and by position, with a residual."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.texture_module = Texture(width)
        self.tone_mapping = ToneMapping(width)
        self.fusion = nn.Sequential(_conv3(2 * width, width), nn.ReLU())
        self.channel_attention = ChannelAttention(width)
        self.spatial_attention = SpatialAttention()

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same shape."""
        fused = self.fusion(torch.cat((self.texture_module(x), self.tone_mapping(x)), 1))
        return x + self.spatial_attention(self.channel_attention(fused))


class RMFANet(nn.Module):
    """The bare network: split RAW (N, 3, H, W) to an image (N, 3, H, W) in (0, 1), H and W multiples of 4.

    Args:
        blocks: How many RMFA blocks follow one another.
        width: Their channels.
    """

    def __init__(self, blocks: int, width: int) -> None:
        super().__init__()
        self.input_module = nn.Sequential(_conv3(3, width), _conv3(width, width), nn.Tanh())
        self.rmfa_blocks = nn.Sequential(*(RMFABlock(width) for _ in range(blocks)))
        self.output_module = nn.Sequential(_conv3(width, 3), nn.Sigmoid())

    def forward(self, split: Tensor) -> Tensor:
        """Renders the image."""
        return self.output_module(self.rmfa_blocks(self.input_module(split)))


class RMFATiny(ISPModel):
    """RMFA-Net behind the common interface, tiny by default.

    Args:
        blocks: How many RMFA blocks follow one another.
        width: Their channels, an even number of at least 16.

    Raises:
        UserError: for a size that makes no network.
    """

    multiple = 2
    paper: ClassVar[str] = "Li et al., 2024, arXiv 2406.11469, as in Arhire and Timofte, CVPRW 2025"
    input_kind: ClassVar[str] = "RAW split into R, G, B at full size, missing samples 1"

    def __init__(self, blocks: int = 2, width: int = 16) -> None:
        super().__init__()
        if not isinstance(blocks, int) or blocks < 1:
            raise UserError(f"model.blocks is a whole number of at least 1, not {blocks!r}.")
        if not isinstance(width, int) or width < 16 or width % 2:
            raise UserError(f"model.width is an even number of at least 16, not {width!r}.")
        self.net = RMFANet(blocks, width)

    def net_inputs(self, raw: Tensor) -> tuple[Tensor]:
        """The mosaic as three sparse planes R, G, B, shape (N, 3, 2h, 2w), clipped below black."""
        dn = ten_bit(raw, self.black_level, self.white_level)
        red, green_r, green_b, blue = ((dn - _BLACK).clamp_min(0) / _WHITE).unbind(1)
        missing = torch.full_like(red, _MISSING)
        cells = (
            *(red, missing, missing, missing),
            *(missing, green_r, green_b, missing),
            *(missing, missing, missing, blue),
        )
        return (F.pixel_shuffle(torch.stack(cells, 1), 2),)

    @classmethod
    def read_options(cls, shapes: Shapes) -> dict[str, Any]:
        """The options that the tensors tell."""
        return {"blocks": shapes.count("rmfa_blocks."), "width": shapes["input_module.0.weight"][0]}
