"""PUNET: a U-Net of plain convolutions, the baseline of the Mobile AI 2021 learned smartphone ISP challenge.

Reference: Ignatov et al., "Learned Smartphone ISP on Mobile NPUs with Deep Learning, Mobile AI 2021
Challenge: Report", CVPR Workshops 2021, arXiv 2105.07809. It descends from PyNET (arXiv 2002.05509).
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispbench.errors import UserError
from ispbench.models.interface import ISPModel
from ispbench.models.shapes import Shapes
from ispbench.raw.levels import BGRG_ORDER, add_black_level

_INIT = 0.01  # spread of the kernels and value of the biases before training


class DoubleConv(nn.Module):
    """Two 3x3 convolutions, each with LeakyReLU and, where asked for, instance normalization before it."""

    def __init__(self, in_channels: int, channels: int, norm: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.norm1 = _norm(channels) if norm else nn.Identity()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2 = _norm(channels) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to (N, C', H, W)."""
        x = F.leaky_relu(self.norm1(self.conv1(x)), 0.2)
        return F.leaky_relu(self.norm2(self.conv2(x)), 0.2)


class UpConv(nn.Module):
    """Doubles the size by a transposed 3x3 convolution, aligned as with TensorFlow's SAME padding."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(in_channels, channels, 3, stride=2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to (N, C', 2H, 2W)."""
        return F.leaky_relu(self.conv(x)[..., :-1, :-1], 0.2)


class PUNETNet(nn.Module):
    """The bare network.

    Its modules are registered in the order in which the original creates, and thus numbers, its variables.

    Args:
        width: b, the channels at the packed size; they double with every level, to 16b.
        instance_norm: Whether the blocks below the packed size are instance-normalized.
    """

    def __init__(self, width: int, instance_norm: bool) -> None:
        super().__init__()
        b = width
        self.down1 = DoubleConv(4, b, norm=False)
        self.down2 = DoubleConv(b, 2 * b, instance_norm)
        self.down3 = DoubleConv(2 * b, 4 * b, instance_norm)
        self.down4 = DoubleConv(4 * b, 8 * b, instance_norm)
        self.bottom1 = DoubleConv(8 * b, 16 * b, instance_norm)
        self.bottom2 = DoubleConv(16 * b, 16 * b, instance_norm)
        self.bottom3 = DoubleConv(16 * b, 16 * b, instance_norm)
        self.bottom4 = DoubleConv(16 * b, 16 * b, instance_norm)
        self.enlarge4 = UpConv(16 * b, 8 * b)
        self.up4 = DoubleConv(16 * b, 8 * b, instance_norm)
        self.enlarge3 = UpConv(8 * b, 4 * b)
        self.up3 = DoubleConv(8 * b, 4 * b, instance_norm)
        self.enlarge2 = UpConv(4 * b, 2 * b)
        self.skip2 = DoubleConv(2 * b, 2 * b, instance_norm)
        self.up2 = DoubleConv(4 * b, 2 * b, instance_norm)
        self.enlarge1 = UpConv(2 * b, b)
        self.skip1 = DoubleConv(b, b, norm=False)
        self.up1 = DoubleConv(3 * b, b, norm=False)
        self.enlarge0 = UpConv(b, b // 4)
        self.to_rgb = nn.Conv2d(b // 4, 3, 3, padding=1)

    def forward(self, raw: Tensor) -> Tensor:
        """Renders the image.

        Args:
            raw: Packed Bayer planes B, Gr, R, Gb over the white level, the black level kept, shape
                (N, 4, h, w), h and w multiples of 16.

        Returns:
            The image in (-0.08, 1.08), shape (N, 3, 2h, 2w).
        """
        level1 = self.down1(raw)
        level2 = self.down2(F.max_pool2d(level1, 2))
        level3 = self.down3(F.max_pool2d(level2, 2))
        level4 = self.down4(F.max_pool2d(level3, 2))
        x = self.bottom1(F.max_pool2d(level4, 2))
        x = self.bottom2(x) + x
        x = self.bottom3(x) + x
        x = self.bottom4(x)
        x = self.up4(torch.cat((level4, self.enlarge4(x)), 1))
        x = self.up3(torch.cat((level3, self.enlarge3(x)), 1))
        x = self.up2(torch.cat((self.skip2(level2), self.enlarge2(x)), 1))
        x = self.up1(torch.cat((self.skip1(level1), self.enlarge1(x), level1), 1))
        return self.to_rgb(self.enlarge0(x)).tanh() * 0.58 + 0.5


class PUNET(ISPModel):
    """PUNET behind the common interface.

    Args:
        width: b, the channels at the packed size, a multiple of 4.
        instance_norm: Whether the blocks below the packed size are instance-normalized; packed height and
            width then have to be more than 16.
        init: ``original`` (kernels of spread 0.01, biases of 0.01; slow to start) or ``pytorch`` (defaults).

    Raises:
        UserError: for a width that is not a multiple of 4, or an unknown `init`.
    """

    net: PUNETNet
    multiple = 16
    paper: ClassVar[str] = "Ignatov et al., CVPR Workshops 2021 (challenge baseline)"
    input_kind: ClassVar[str] = "packed RAW (B, Gr, R, Gb), black level kept"

    def __init__(
        self,
        width: int = 16,
        instance_norm: bool = False,
        init: str = "original",
    ) -> None:
        super().__init__()
        if width < 4 or width % 4:
            raise UserError(f"model.width is a multiple of 4, not {width!r}.")
        if init not in ("original", "pytorch"):
            raise UserError(f"model.init is original or pytorch, not {init!r}.")
        self.net = PUNETNet(width, instance_norm)
        if init == "original":
            self.net.apply(_init_as_the_original)

    def net_inputs(self, raw: Tensor) -> tuple[Tensor, ...]:
        """The planes in the authors' order, over the white level, the black level not subtracted."""
        return (add_black_level(raw[:, BGRG_ORDER], self.black_level, self.white_level),)

    def official_state_dict(self, state: Mapping[str, Any]) -> Mapping[str, Any]:
        """The variables of a TensorFlow checkpoint under the names of `net`.

        They are called ``generator/Variable``, ``generator/Variable_1`` and so on. Kernels go from (height,
        width, in, out) to (out, in, height, width); those of transposed convolutions, stored as (height,
        width, out, in), to (in, out, height, width).
        """
        names = {
            f"generator/Variable_{index}" if index else "generator/Variable": name
            for index, name in enumerate(_in_order_of_creation(self.net))
        }
        return {names.get(variable, variable): _channels_first(value) for variable, value in state.items()}

    @classmethod
    def read_options(cls, shapes: Shapes) -> dict[str, Any]:
        """The options that the tensors tell."""
        return {"width": shapes["down1.conv1.weight"][0], "instance_norm": shapes.has(".norm")}


def _norm(channels: int) -> nn.InstanceNorm2d:
    return nn.InstanceNorm2d(channels, eps=1e-3, affine=True)


def _init_as_the_original(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.trunc_normal_(module.weight, std=_INIT, a=-2 * _INIT, b=2 * _INIT)
        if module.bias is not None:
            nn.init.constant_(module.bias, _INIT)


def _in_order_of_creation(net: PUNETNet) -> Iterator[str]:
    for path, module in net.named_modules():
        if isinstance(module, nn.InstanceNorm2d):
            yield from (f"{path}.bias", f"{path}.weight")
        else:
            yield from (f"{path}.{name}" for name, _ in module.named_parameters(recurse=False))


def _channels_first(value: Any) -> Tensor:
    tensor = torch.as_tensor(value)
    return tensor.permute(3, 2, 0, 1) if tensor.ndim == 4 else tensor
