"""CSANet: two channel and spatial attention modules at packed size and one PixelShuffle.

Reference: Hsyu et al., "CSANet: High Speed Channel Spatial Attention Network for Mobile ISP", CVPR Workshops
2021, pp. 2486-2493 (no arXiv version; the challenge report is arXiv 2105.07809). The architecture is that of
a public PyTorch port, korayerbas/CSANet, not of the authors' own TensorFlow network.
"""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispbench.errors import UserError
from ispbench.models.interface import ISPModel
from ispbench.models.shapes import Shapes
from ispbench.raw.levels import BGRG_ORDER, add_black_level

# From the names in the port's checkpoints to those of `CSANetNet`.
_RENAMES = (
    (r"^conv1\.conv_a\.conv2d\.", "head.0."),
    (r"^conv1\.conv_a\.instance\.", "head.1."),
    (r"^conv1\.conv_b\.conv2d\.", "head.3."),
    (r"^conv1\.conv_b\.instance\.", "head.4."),
    (r"^out_att([12])\.", r"attention\1."),
    (r"\.conv1\.", ".features."),
    (r"\.conv2\.", ".activation."),
    (r"\.conv3\.", ".merge."),
    (r"\.ca\.fc\.", ".channel_mlp."),
    (r"\.sa\.dw\.dw_conv\.0\.", ".depthwise."),
    (r"\.sa\.dw\.point_conv\.", ".pointwise."),
    (r"^conv2\.conv2d\.", "widen."),
    (r"^transpose_conv\.", "fuse."),
    (r"^conv3\.conv2d\.", "to_rgb."),
    (r"^conv4\.conv2d\.", "refine."),
)


def _conv(in_channels: int, channels: int, kernel: int, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2, padding_mode="reflect", bias=bias)


class DoubleAttention(nn.Module):
    """Features gated by channel and by position, each gate by itself, and merged.

    Args:
        channels: Channels of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.features = _conv(channels, channels, 3, bias=False)
        self.activation = nn.Conv2d(channels, channels, 1, bias=False)
        self.channel_mlp = nn.Sequential(
            nn.Conv2d(channels, channels // 2, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(channels // 2, channels, 1, bias=False),
        )
        self.depthwise = nn.Conv2d(
            channels, channels, 5, padding=4, dilation=2, groups=channels, padding_mode="reflect"
        )
        self.pointwise = nn.Conv2d(channels, channels, 1)
        self.merge = nn.Conv2d(2 * channels, channels, 1, bias=False)

    def channel_gate(self, x: Tensor) -> Tensor:
        """Gate of each channel, shape (N, C, 1, 1): the port multiplies the scores of average and maximum."""
        average = self.channel_mlp(x.mean((2, 3), keepdim=True))
        maximum = self.channel_mlp(x.amax((2, 3), keepdim=True))
        return (average * maximum).sigmoid()

    def spatial_gate(self, x: Tensor) -> Tensor:
        """Gate of each value, shape (N, C, H, W), in (0.5, 0.74): the port applies the sigmoid twice."""
        return self.pointwise(F.relu(self.depthwise(x))).sigmoid().sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same shape."""
        x = self.activation(self.features(x).tanh()).sigmoid()
        return self.merge(torch.cat((x * self.channel_gate(x), x * self.spatial_gate(x)), 1))


class CSANetNet(nn.Module):
    """The bare network.

    Args:
        channels: Channels of the head and the attention modules; the trunk after them has twice as many.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.head = nn.Sequential(
            _conv(4, channels, 5),
            nn.InstanceNorm2d(channels, affine=True),
            nn.LeakyReLU(0.2),
            _conv(channels, channels, 5),
            nn.InstanceNorm2d(channels, affine=True),
            nn.LeakyReLU(0.2),
        )
        self.attention1 = DoubleAttention(channels)
        self.attention2 = DoubleAttention(channels)
        self.widen = _conv(channels, 2 * channels, 3)
        self.fuse = nn.ConvTranspose2d(3 * channels, 2 * channels, 3, padding=1)
        self.to_rgb = _conv(2 * channels, 12, 3)
        self.refine = _conv(3, 3, 3)

    def forward(self, raw: Tensor) -> Tensor:
        """Renders the image.

        Args:
            raw: Packed Bayer planes B, Gr, R, Gb over the white level, the black level kept, shape
                (N, 4, h, w), h and w at least 5.

        Returns:
            The image in (0, 1), shape (N, 3, 2h, 2w).
        """
        shallow = self.head(raw)
        x = self.attention1(shallow) + shallow
        x = self.attention2(x) + x
        x = self.fuse(torch.cat((self.widen(x), shallow), 1))
        x = F.pixel_shuffle(self.to_rgb(x), 2)
        return F.leaky_relu(self.refine(x), 0.2).sigmoid()


class CSANet(ISPModel):
    """CSANet behind the common interface.

    Its instance normalization and its channel gates use the statistics of the whole input, so that a tile does not
    render like the same area of the whole image.

    Args:
        channels: Channels of the head and the attention modules, an even number.

    Raises:
        UserError: for an odd number of channels.
    """

    minimum = 5
    paper: ClassVar[str] = "Hsyu et al., CVPR Workshops 2021"
    input_kind: ClassVar[str] = "packed RAW (B, Gr, R, Gb), black level kept"

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        if channels < 2 or channels % 2:
            raise UserError(f"model.channels is an even number of at least 2, not {channels!r}.")
        self.net = CSANetNet(channels)

    def net_inputs(self, raw: Tensor) -> tuple[Tensor, ...]:
        """The planes in the authors' order, over the white level, the black level not subtracted."""
        return (add_black_level(raw[:, BGRG_ORDER], self.black_level, self.white_level),)

    def official_state_dict(self, state: Mapping[str, Any]) -> Mapping[str, Any]:
        """The port's tensors under the names of `net`."""
        return {_own_name(name): value for name, value in state.items()}

    @classmethod
    def read_options(cls, shapes: Shapes) -> dict[str, Any]:
        """The options that the tensors tell."""
        return {"channels": shapes["head.0.weight"][0]}


def _own_name(name: str) -> str:
    for pattern, replacement in _RENAMES:
        name = re.sub(pattern, replacement, name)
    return name
