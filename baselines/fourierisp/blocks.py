"""The blocks of FourierISP: convolutions with and without a Fourier branch, attention, color adaptation."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispbench.baselines.fourierisp.spectrum import from_polar, to_polar
from ispbench.precision import full_precision


def conv(in_channels: int, out_channels: int, size: int = 3) -> nn.Conv2d:
    """A convolution that keeps height and width, zero-padded."""
    return nn.Conv2d(in_channels, out_channels, size, padding=size // 2)


def halve(in_channels: int, out_channels: int) -> nn.Conv2d:
    """A convolution that halves height and width."""
    return nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1, bias=False)


def pointwise_pair(channels: int, slope: float) -> nn.Sequential:
    """Two 1x1 convolutions with a leaky ReLU between them, for the bins of a spectrum."""
    return nn.Sequential(conv(channels, channels, 1), nn.LeakyReLU(slope), conv(channels, channels, 1))


class HalfNormBlock(nn.Module):
    """A residual block that instance-normalizes the first half of its channels between two convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_1 = conv(channels, channels)
        self.norm = nn.InstanceNorm2d(channels // 2, affine=True)
        self.conv_2 = conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same shape."""
        normalised, kept = F.leaky_relu(self.conv_1(x), 0.2).chunk(2, dim=1)
        return x + F.leaky_relu(self.conv_2(torch.cat((self.norm(normalised), kept), dim=1)), 0.2)


class FourierBlock(nn.Module):
    """Two convolutions beside a 1x1 projection, whose spectrum a third branch may correct.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the output.
        corrects: What the third branch changes, ``phase`` or ``amplitude``; None for no such branch.
        fused: How many further maps of the output's shape are added, each through a convolution.
    """

    def __init__(self, in_channels: int, channels: int, corrects: str | None = None, fused: int = 0) -> None:
        super().__init__()
        self.corrects = corrects
        self.conv_1 = conv(in_channels, channels)
        self.conv_2 = conv(channels, channels)
        self.identity = conv(in_channels, channels, 1)
        if corrects:
            self.correction = pointwise_pair(channels, 0.2)
        self.fusion = nn.ModuleList(conv(channels, channels) for _ in range(fused))

    def _corrected(self, x: Tensor) -> Tensor:
        with full_precision(x):
            amplitude, phase = to_polar(x, half=False)
            if self.corrects == "phase":
                phase = self.correction(phase)
            else:
                amplitude = self.correction(amplitude)
            return from_polar(amplitude, phase).to(x.dtype)

    def forward(self, x: Tensor, *context: Tensor) -> Tensor:
        """Maps (N, C, H, W), and as many (N, C', H, W) as are fused, to (N, C', H, W)."""
        projected = self.identity(x)
        y = F.leaky_relu(self.conv_2(F.leaky_relu(self.conv_1(x), 0.2)), 0.2) + projected
        if self.corrects:
            y = y + self._corrected(projected)
        for convolution, features in zip(self.fusion, context, strict=True):
            y = y + convolution(features)
        return y


class UpBlock(nn.Module):
    """Doubles the size, halves the channels and merges the skip connection."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(2 * channels, channels, 2, stride=2)
        self.conv_block = FourierBlock(2 * channels, channels)

    def forward(self, x: Tensor, bridge: Tensor) -> Tensor:
        """Maps (N, 2C, H, W) and the bridge (N, C, 2H, 2W) to (N, C, 2H, 2W)."""
        return self.conv_block(torch.cat((self.up(x), bridge), dim=1))


class SupervisedAttention(nn.Module):
    """Renders an image from features and lets the image gate the features."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = conv(channels, channels)
        self.conv2 = conv(channels, 3)
        self.conv3 = conv(3, channels)

    def forward(self, x: Tensor, base: Tensor) -> tuple[Tensor, Tensor]:
        """Returns gated features (N, C, H, W) and the image (N, 3, H, W), which is a residual on `base`."""
        image = self.conv2(x) + base
        return self.conv1(x) * torch.sigmoid(self.conv3(image)) + x, image


class ChannelAttention(nn.Module):
    """A residual block of two convolutions whose channels are gated by their means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.process = nn.Sequential(conv(channels, channels), nn.ReLU(), conv(channels, channels))
        self.conv_du = nn.Sequential(
            conv(channels, channels // 4, 1), nn.ReLU(), conv(channels // 4, channels, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same shape."""
        y = self.process(x)
        return self.conv_du(y.mean((2, 3), keepdim=True)) * y + x


class Refine(nn.Module):
    """Features to a residual image: (N, C, H, W) to (N, 3, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_in = conv(channels, channels)
        self.attention = ChannelAttention(channels)
        self.conv_last = conv(channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Renders the residual image."""
        return self.conv_last(self.attention(self.conv_in(x)))


class SpectralAdaptation(nn.Module):
    """Modulates the half spectrum of features by that of color features of the same shape (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.transamp = conv(channels, channels, 1)
        self.transpha = conv(channels, channels, 1)
        self.processmag = pointwise_pair(channels, 0.1)
        self.processpha = pointwise_pair(channels, 0.1)
        self.convmul = conv(channels, channels)
        self.convadd = conv(channels, channels)
        self.convfuse = conv(2 * channels, channels, 1)
        self.cat = conv(2 * channels, channels, 1)

    def forward(self, x: Tensor, colour: Tensor) -> Tensor:
        """Returns features of the shape and type of `x`; all between is float32."""
        with full_precision(x):
            amplitude, phase = to_polar(x)
            colour_amplitude, colour_phase = to_polar(colour)
            amplitude, scale = self.processmag(amplitude), self.transamp(colour_amplitude)
            modulated = self.convmul(scale) * amplitude + self.convadd(scale)
            amplitude = self.convfuse(torch.cat((amplitude, modulated), dim=1))
            phase = self.cat(torch.cat((self.transpha(colour_phase), self.processpha(phase)), dim=1))
            return from_polar(amplitude, phase, half_of=x.shape).to(x.dtype)


class ColourAdaptation(nn.Module):
    """Adapts features to color features in space and in the Fourier domain, both (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.spatial = HalfNormBlock(channels)
        self.frequency = SpectralAdaptation(channels)
        self.cat = conv(2 * channels, channels, 1)

    def forward(self, x: Tensor, colour: Tensor) -> Tensor:
        """Returns the adapted features, of the shape of `x`."""
        return x + self.cat(torch.cat((self.spatial(x), self.frequency(x, colour)), dim=1))
