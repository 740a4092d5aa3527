"""LAN: a 47-thousand-parameter network for phones that reads the Bayer mosaic itself.

Reference: Raimundo, Ignatov and Timofte, "LAN: Lightweight Attention-based Network for RAW-to-RGB Smartphone
Image Processing", CVPR Workshops 2022 (no arXiv version known). The form is that of the authors' TensorFlow
code, whose convolutions pad like ``SAME``.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispbench.models.interface import ISPModel
from ispbench.raw.levels import add_black_level

_WIDTH = 16
_INIT_STD = 0.01


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)


def _squash(x: Tensor) -> Tensor:
    """The bounded activation of the output and of the gates, range (-0.08, 1.08)."""
    return torch.tanh(x) * 0.58 + 0.5


class DoubleAttention(nn.Module):
    """Widens its input, weights it by channel and by position side by side, and merges both.

    Args:
        channels: C, of input and output; 2C inside.
        reduction: How many times fewer channels the channel gate has between its two layers.
    """

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        wide = 2 * channels
        self.widen = nn.Conv2d(channels, wide, 3, padding=1)
        self.mix = nn.Conv2d(wide, wide, 1)
        self.squeeze = nn.Conv2d(wide, wide // reduction, 1)
        self.excite = nn.Conv2d(wide // reduction, wide, 1)
        self.spatial = nn.Conv2d(wide, wide, 5, padding=4, dilation=2, groups=wide, bias=False)
        self.merge = nn.Conv2d(2 * wide, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same shape; the caller adds the residual."""
        x = self.mix(_leaky(self.widen(x)))
        by_channel = _squash(self.excite(_leaky(self.squeeze(x.mean((2, 3), keepdim=True)))))
        by_position = _squash(self.spatial(x))
        return self.merge(torch.cat((by_channel * x, by_position * x), dim=1))


class LANNet(nn.Module):
    """The bare network: Bayer mosaic (N, 1, H, W) in sensor numbers to sRGB (N, 3, H, W).

    H and W are multiples of 4. The layers are registered in the order in which the authors' graph creates its
    variables; `LAN.official_state_dict` relies on that.
    """

    def __init__(self) -> None:
        super().__init__()
        self.to_half = nn.Conv2d(1, _WIDTH, 4, stride=2, padding=1)
        self.to_quarter = nn.Conv2d(_WIDTH, _WIDTH, 3, stride=2)
        self.head = nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1)
        self.attention1 = DoubleAttention(_WIDTH)
        self.attention2 = DoubleAttention(_WIDTH)
        self.tail = nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1)
        self.up = nn.ConvTranspose2d(_WIDTH, _WIDTH, 3, stride=2)
        self.merge = nn.Conv2d(2 * _WIDTH, _WIDTH, 3, padding=1)
        self.out = nn.Conv2d(_WIDTH // 4, 3, 3, padding=1)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.constant_(parameter, 0.01)
            else:
                nn.init.trunc_normal_(parameter, std=_INIT_STD, a=-2 * _INIT_STD, b=2 * _INIT_STD)

    def forward(self, bayer: Tensor) -> Tensor:
        """Renders the image, range (-0.08, 1.08)."""
        half = _leaky(self.to_half(bayer))
        # At stride 2, SAME pads an even size at the bottom and right only, and trims the upsampled map there.
        x = head = _leaky(self.head(_leaky(self.to_quarter(F.pad(half, (0, 1, 0, 1))))))
        x = x + self.attention1(x)
        x = x + self.attention2(x)
        x = head + _leaky(self.tail(x))
        x = self.up(x)[..., :-1, :-1]
        x = _leaky(self.merge(torch.cat((half, x), dim=1)))
        return _squash(_leaky(self.out(F.pixel_shuffle(x, 2))))


class LAN(ISPModel):
    """LAN behind the common interface."""

    multiple = 2
    paper: ClassVar[str] = "Raimundo et al., CVPRW 2022"
    input_kind: ClassVar[str] = "Bayer mosaic in sensor numbers, black level kept"

    def __init__(self) -> None:
        super().__init__()
        self.net = LANNet()

    def net_inputs(self, raw: Tensor) -> tuple[Tensor]:
        """The mosaic in sensor numbers, shape (N, 1, 2h, 2w)."""
        return (F.pixel_shuffle(add_black_level(raw, self.black_level, self.white_level) * self.white_level, 2),)

    def official_state_dict(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The variables of the authors' TensorFlow checkpoint, kernels HWIO, as the state of `net`."""
        names = {
            f"generator/Variable_{index}" if index else "generator/Variable": name
            for index, name in enumerate(self.net.state_dict())
        }
        mapped = {names.get(variable, variable): value for variable, value in state.items()}
        for name, value in mapped.items():
            tensor = torch.as_tensor(value)
            if tensor.ndim == 4:
                depthwise = name.endswith("spatial.weight")
                tensor = tensor.permute(2, 3, 0, 1) if depthwise else tensor.permute(3, 2, 0, 1)
            if name.startswith("merge."):
                tensor = _pixel_shuffle_order(tensor)
            mapped[name] = tensor
        return mapped


def _pixel_shuffle_order(tensor: Tensor) -> Tensor:
    """Reorders a layer's outputs from TensorFlow's depth-to-space to PixelShuffle: channel, then position."""
    return tensor.unflatten(0, (4, -1)).transpose(0, 1).flatten(0, 1)
