"""The levels of PyNET and the blocks that they are made of."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConvLayer(nn.Module):
    """A convolution over mirrored borders, then instance normalization and LeakyReLU where asked for."""

    def __init__(self, in_channels: int, channels: int, kernel: int, norm: bool, activate: bool = True) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2, padding_mode="reflect")
        self.instance = nn.InstanceNorm2d(channels, affine=True) if norm else nn.Identity()
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to (N, C', H, W)."""
        x = self.instance(self.conv2d(x))
        return F.leaky_relu(x, 0.2) if self.activate else x


class MultiKernelBlock(nn.Module):
    """Parallel pairs of convolutions with kernels 3, 5, ... up to `max_kernel`, concatenated.

    Args:
        in_channels: C.
        channels: f, the channels of one branch; the output has f times the number of branches.
        max_kernel: 3, 5, 7 or 9.
        norm: Whether the convolutions are instance-normalized.
    """

    def __init__(self, in_channels: int, channels: int, max_kernel: int, norm: bool) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(ConvLayer(in_channels, channels, kernel, norm), ConvLayer(channels, channels, kernel, norm))
            for kernel in range(3, max_kernel + 1, 2)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to (N, branches * f, H, W)."""
        outputs = [branch(x) for branch in self.branches]
        return torch.cat(outputs, 1) if len(outputs) > 1 else outputs[0]


class Up(nn.Module):
    """Doubles the size bilinearly, corners aligned, and convolves."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(in_channels, channels, 3, padding=1, padding_mode="reflect")

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to (N, C', 2H, 2W)."""
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        return F.leaky_relu(self.conv2d(x), 0.2)


# The blocks d1, d2, ... of a level carry the numbers of the authors' checkpoints.


class Level5(nn.Module):
    """The coarsest level, at a sixteenth of the packed size: four blocks in a row."""

    def __init__(self, norm: bool) -> None:
        super().__init__()
        self.d1 = MultiKernelBlock(256, 512, 3, norm)
        self.d2 = MultiKernelBlock(512, 512, 3, norm)
        self.d3 = MultiKernelBlock(512, 512, 3, norm)
        self.d4 = MultiKernelBlock(512, 512, 3, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Maps the pooled features of the encoder, 256 channels, to 512."""
        return self.d4(self.d3(self.d2(self.d1(x))))


class Level4(nn.Module):
    """Eighth of the packed size: kernels up to 3."""

    def __init__(self, norm: bool) -> None:
        super().__init__()
        self.up_a, self.up_b = Up(512, 256), Up(512, 256)
        self.d3 = MultiKernelBlock(512, 256, 3, norm)
        self.d4 = MultiKernelBlock(256, 256, 3, norm)
        self.d5 = MultiKernelBlock(256, 256, 3, norm)
        self.d6 = MultiKernelBlock(256, 256, 3, norm)
        self.d8 = MultiKernelBlock(512, 256, 3, norm)

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        """Refines the features of level 5 with those of the encoder, 256 channels out."""
        x = self.d3(torch.cat((skip, self.up_a(coarse)), 1))
        x = self.d4(x) + x
        x = self.d5(x) + x
        x = self.d6(x)
        return self.d8(torch.cat((x, self.up_b(coarse)), 1))


class Level3(nn.Module):
    """Quarter of the packed size: kernels up to 5."""

    def __init__(self, norm: bool) -> None:
        super().__init__()
        self.up_a, self.up_b = Up(256, 128), Up(256, 128)
        self.d3 = MultiKernelBlock(256, 128, 5, norm)
        self.d4 = MultiKernelBlock(256, 128, 5, norm)
        self.d5 = MultiKernelBlock(256, 128, 5, norm)
        self.d6 = MultiKernelBlock(256, 128, 5, norm)
        self.d8 = MultiKernelBlock(512, 128, 3, norm)

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        """Refines the features of level 4 with those of the encoder, 128 channels out."""
        x = torch.cat((skip, self.up_a(coarse)), 1)
        for block in (self.d3, self.d4, self.d5):
            x = block(x) + x
        x = self.d6(x)
        return self.d8(torch.cat((x, skip, self.up_b(coarse)), 1))


class Level2(nn.Module):
    """Half of the packed size: kernels up to 7."""

    def __init__(self, norm: bool) -> None:
        super().__init__()
        self.up_a, self.up_b = Up(128, 64), Up(128, 64)
        self.d3 = MultiKernelBlock(128, 64, 5, norm)
        self.d5 = MultiKernelBlock(192, 64, 7, norm)
        self.d6 = MultiKernelBlock(192, 64, 7, norm)
        self.d7 = MultiKernelBlock(192, 64, 7, norm)
        self.d8 = MultiKernelBlock(192, 64, 7, norm)
        self.d10 = MultiKernelBlock(256, 64, 5, norm)
        self.d12 = MultiKernelBlock(192, 64, 3, norm)

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        """Refines the features of level 3 with those of the encoder, 64 channels out."""
        x = self.d3(torch.cat((skip, self.up_a(coarse)), 1))
        x = torch.cat((x, skip), 1)
        for block in (self.d5, self.d6, self.d7):
            x = block(x) + x
        x = self.d8(x)
        x = self.d10(torch.cat((x, skip), 1))
        return self.d12(torch.cat((x, self.up_b(coarse)), 1))


class Level1(nn.Module):
    """The packed size: kernels up to 9."""

    def __init__(self, norm: bool) -> None:
        super().__init__()
        self.up_a, self.up_b = Up(64, 32), Up(64, 32)
        self.d3 = MultiKernelBlock(64, 32, 5, norm=False)
        self.d5 = MultiKernelBlock(96, 32, 7, norm)
        self.d6 = MultiKernelBlock(96, 32, 9, norm)
        self.d7 = MultiKernelBlock(128, 32, 9, norm)
        self.d8 = MultiKernelBlock(128, 32, 9, norm)
        self.d9 = MultiKernelBlock(128, 32, 9, norm)
        self.d10 = MultiKernelBlock(128, 32, 7, norm)
        self.d12 = MultiKernelBlock(128, 32, 5, norm)
        self.d14 = MultiKernelBlock(128, 32, 3, norm=False)

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        """Refines the features of level 2 with those of the encoder, 32 channels out."""
        x = self.d3(torch.cat((skip, self.up_a(coarse)), 1))
        x = self.d6(self.d5(torch.cat((x, skip), 1)))
        for block in (self.d7, self.d8, self.d9):
            x = block(x) + x
        x = self.d10(x)
        x = self.d12(torch.cat((x, skip), 1))
        return self.d14(torch.cat((x, self.up_b(coarse), skip), 1))


class Level0(nn.Module):
    """The full size: the features of level 1, enlarged."""

    def __init__(self) -> None:
        super().__init__()
        self.up = Up(32, 16)

    def forward(self, coarse: Tensor) -> Tensor:
        """Maps (N, 32, H, W) to (N, 16, 2H, 2W)."""
        return self.up(coarse)
