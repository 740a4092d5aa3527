"""The building blocks of AWNet; their parameters bear the names of the authors' checkpoints.

Reference: L. Dai, X. Liu, C. Li, J. Chen, "AWNet: Attentive Wavelet Network for Image ISP",
ECCV Workshops 2020, arXiv 2008.09228.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_GROWTH = 16
_DENSE_LAYERS = 6


def conv3(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """A 3x3 convolution with zero padding."""
    return nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1)


def conv1(in_channels: int, out_channels: int) -> nn.Conv2d:
    """A 1x1 convolution."""
    return nn.Conv2d(in_channels, out_channels, 1)


def grouped_haar(x: Tensor) -> Tensor:
    """Orthonormal 2-D Haar transform, its channels grouped by band, unlike `ispbench.models.layers.haar`.

    Args:
        x: Shape (N, C, H, W), H and W even.

    Returns:
        Shape (N, 4C, H/2, W/2): C channels each of LL, right minus left, bottom minus top, and the diagonal.
    """
    x = x * 0.5
    top_left, top_right = x[..., 0::2, 0::2], x[..., 0::2, 1::2]
    bottom_left, bottom_right = x[..., 1::2, 0::2], x[..., 1::2, 1::2]
    top, bottom = top_left + top_right, bottom_left + bottom_right
    top_step, bottom_step = top_right - top_left, bottom_right - bottom_left
    return torch.cat((top + bottom, top_step + bottom_step, bottom - top, bottom_step - top_step), dim=1)


def inverse_grouped_haar(x: Tensor) -> Tensor:
    """Inverts `grouped_haar`: shape (N, 4C, H, W) to (N, C, 2H, 2W)."""
    ll, right_left, bottom_top, diagonal = (x * 0.5).chunk(4, dim=1)
    top, bottom = ll - bottom_top, ll + bottom_top
    top_step, bottom_step = right_left - diagonal, right_left + diagonal
    cells = (top - top_step, top + top_step, bottom - bottom_step, bottom + bottom_step)  # in reading order
    return F.pixel_shuffle(torch.stack(cells, dim=2).flatten(1, 2), 2)


class GlobalContext(nn.Module):
    """Adds to every pixel one vector, transformed from an attention-weighted average over all pixels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // 4
        self.conv_mask = conv1(channels, 1)
        self.channel_add_conv = nn.Sequential(
            conv1(channels, hidden), nn.LayerNorm([hidden, 1, 1]), nn.PReLU(), conv1(hidden, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same shape."""
        attention = self.conv_mask(x).flatten(2).softmax(dim=2)
        context = torch.bmm(x.flatten(2), attention.transpose(1, 2))
        return x + self.channel_add_conv(context.unsqueeze(3))


class DenseLayer(nn.Module):
    """Appends 16 new channels: convolution, ReLU and only then batch normalization."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = conv3(in_channels, _GROWTH)
        self.norm_layer = nn.BatchNorm2d(_GROWTH)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to (N, C + 16, H, W)."""
        return torch.cat((x, self.norm_layer(F.relu(self.conv(x)))), dim=1)


class DenseBlock(nn.Module):
    """GCRDB: six dense layers, a 1x1 convolution back to C channels, global context and the residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.residual_dense_layers = nn.Sequential(*(DenseLayer(channels + _GROWTH * i) for i in range(_DENSE_LAYERS)))
        self.conv_1x1 = conv1(channels + _GROWTH * _DENSE_LAYERS, channels)
        self.final_att = GlobalContext(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same shape."""
        return x + self.final_att(self.conv_1x1(self.residual_dense_layers(x)))


class SqueezeExcite(nn.Module):
    """Channel attention on a 1x1 convolution of the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_in = conv1(channels, channels)
        self.conv_mid = conv1(channels, channels // 4)
        self.conv_out = conv1(channels // 4, channels)
        self.x_red = conv1(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same shape."""
        hidden = F.relu(self.conv_mid(F.relu(self.conv_in(x.mean((2, 3), keepdim=True)))))
        return self.conv_out(hidden).sigmoid() * self.x_red(x)


class Down(nn.Module):
    """Halves the size: strided convolutions beside the LL band of the Haar transform.

    ``conv_down`` is never read; the authors' checkpoints hold it.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            conv3(channels, channels, stride=2), nn.PReLU(), conv3(channels, channels), nn.PReLU()
        )
        self.conv1x1 = conv1(channels, channels)
        self.conv_down = conv3(channels, channels, stride=2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Maps (N, C, H, W) to features (N, 2C, H/2, W/2) and all Haar bands (N, 4C, H/2, W/2)."""
        bands = grouped_haar(x)
        low = self.conv1x1(bands[:, : x.shape[1]])
        return torch.cat((self.stem(x), low), dim=1), bands


class Shortcut(nn.Module):
    """The skip connection of a level: two convolutions and channel attention."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = conv3(channels, channels)
        self.conv2 = conv3(channels, channels)
        self.se = SqueezeExcite(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same shape."""
        return self.se(F.relu(self.conv2(F.relu(self.conv1(x)))))


class PyramidPooling(nn.Module):
    """Averages over 1, 4, 9 and 36 regions, concatenated at full size and fused by a 1x1 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(bins), nn.Conv2d(channels, channels, 1, bias=False))
            for bins in (1, 2, 3, 6)
        )
        self.bottleneck = conv1(5 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same shape."""
        size = x.shape[-2:]
        pooled = [F.interpolate(stage(x), size=size, mode="bilinear", align_corners=False) for stage in self.stages]
        return F.relu(self.bottleneck(torch.cat((*pooled, x), dim=1)))
