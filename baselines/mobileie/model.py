"""MobileIE in its ISP form: 4,132 parameters in use, trained over-parameterized and merged.

Reference: Yan et al., "MobileIE: An Extremely Lightweight and Effective ConvNet for Real-Time Image Enhancement on
Mobile Devices", ICCV 2025, arXiv 2507.01838. It descends from SYENet.

    >>> from ispbench.models.build import build_model
    >>> model = build_model("mobileie").eval().deploy()
    >>> sum(parameter.numel() for parameter in model.parameters())
    4132
"""

from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from ispbench.errors import UserError
from ispbench.models.interface import ISPModel
from ispbench.models.reparameterized import BRANCHES, Branch, merge
from ispbench.models.shapes import Shapes
from ispbench.raw.levels import ten_bit

# What the authors divide sensor numbers by, also those of 10 bits: ZRR reaches the network in 0 to 0.25.
_DIVISOR = 4095.0
# Features everywhere: the 4 x 3 channels that one PixelShuffle turns into RGB.
_WIDTH = 12


class RepConv(nn.Module):
    """A convolution as linear branches, whose outputs also pass a batch norm each, mixed by a 1x1 convolution.

    Args:
        channels: Input channels.
        out_channels: Output channels.
        kernel_size: 5, 3 or 1, the size of the convolution that `merged` returns.
        rep_scale: A branch has `rep_scale` times as many channels as the output.
    """

    def __init__(self, channels: int, out_channels: int, kernel_size: int, rep_scale: int) -> None:
        super().__init__()
        width = rep_scale * out_channels
        self.kernel_size = kernel_size
        self.branches = tuple(BRANCHES[kernel_size])
        for name, (high, wide) in BRANCHES[kernel_size].items():
            self.add_module(name, nn.Conv2d(channels, width, (high, wide), padding=(high // 2, wide // 2)))
            self.add_module(f"{name}_bn", nn.Sequential(nn.BatchNorm2d(width)))
        self.conv_out = nn.Conv2d(2 * len(self.branches) * width, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Convolves a feature map, shape (N, C, H, W) to (N, C', H, W)."""
        bare = {name: getattr(self, name)(x) for name in self.branches}
        normalized = [getattr(self, f"{name}_bn")(features) for name, features in bare.items()]
        return self.conv_out(torch.cat([*bare.values(), *normalized], 1))

    def merged(self) -> nn.Conv2d:
        """The single convolution that computes the same in ``eval()``, exactly, borders included."""
        bare: list[Branch] = [(getattr(self, name), None) for name in self.branches]
        normalized: list[Branch] = [(getattr(self, name), getattr(self, f"{name}_bn")[0]) for name in self.branches]
        return merge([*bare, *normalized], self.conv_out, self.kernel_size)


class FST(nn.Module):
    """Feature self-transform: ``(weight1 * f(x)) * (weight2 * f(x)) + bias``.

    Args:
        block1: f.
        channels: Of its output.
    """

    def __init__(self, block1: nn.Module, channels: int) -> None:
        super().__init__()
        self.block1 = block1
        self.weight1 = nn.Parameter(torch.ones(1))
        self.weight2 = nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Maps a feature map, shape (N, C, H, W) to (N, C', H, W)."""
        x = self.block1(x)
        return (self.weight1 * x) * (self.weight2 * x) + self.bias


class MobileIENet(nn.Module):
    """The bare network, packed RAW (N, 4, h, w) to RGB (N, 3, 2h, 2w), without activation or clamping.

    It is built in the training form; `deploy` merges it. Parameters under ``tail_warm`` serve only a self-supervised
    warm-up of the authors; the forward pass never reads them.

    Args:
        rep_scale: Width of a training branch, as a multiple of its output channels.
    """

    def __init__(self, rep_scale: int) -> None:
        super().__init__()

        def rep(inputs: int, outputs: int, kernel_size: int) -> RepConv:
            return RepConv(inputs, outputs, kernel_size, rep_scale)

        self.head = FST(nn.Sequential(rep(4, _WIDTH, 5), nn.PReLU(_WIDTH), rep(_WIDTH, _WIDTH, 3)), _WIDTH)
        self.body = FST(rep(_WIDTH, _WIDTH, 3), _WIDTH)
        self.att = nn.Sequential(nn.AdaptiveAvgPool2d(1), rep(_WIDTH, _WIDTH, 1), nn.Sigmoid())
        self.att1 = nn.Sequential(rep(1, _WIDTH, 1), nn.Sigmoid())
        self.tail = nn.Sequential(nn.PixelShuffle(2), rep(3, 3, 3))
        self.tail_warm = rep(_WIDTH, 4, 3)

    @property
    def deployed(self) -> bool:
        """Whether the branches are merged."""
        return not hasattr(self, "tail_warm")

    def forward(self, raw: Tensor) -> Tensor:
        """Renders the image of sensor numbers / 4095 in the order R, Gr, Gb, B.

        Raises:
            UserError: when the training form trains on a single image, as its batch norm of 1x1 maps cannot.
        """
        if self.training and not self.deployed and len(raw) < 2:
            raise UserError("mobileie trains with batch norm on 1x1 maps: give it batches of at least 2 images.")
        x = self.body(self.head(raw))
        by_channel = self.att(x)
        by_position = self.att1((by_channel * x).amax(1, keepdim=True))
        return self.tail(by_position * by_channel * x)

    def deploy(self) -> Self:
        """Merges the branches into single convolutions, in place and for good, and drops ``tail_warm``.

        The merged network computes what this one computes in ``eval()``.
        """
        if not self.deployed:
            del self.tail_warm
            for module in list(self.modules()):
                for name, child in list(module.named_children()):
                    if isinstance(child, RepConv):
                        setattr(module, name, child.merged())
        return self


class MobileIE(ISPModel):
    """MobileIE behind the common interface.

    Args:
        rep_scale: Width of a training branch, as a multiple of its output channels.
        deploy: Builds the merged form.

    Raises:
        UserError: for a width below 1.
    """

    paper: ClassVar[str] = "Yan et al., ICCV 2025"
    input_kind: ClassVar[str] = "packed RAW, 10-bit DN / 4095, black level kept"
    unused_parameters = ("tail_warm",)

    def __init__(self, rep_scale: int = 4, deploy: bool = False) -> None:
        super().__init__()
        if not isinstance(rep_scale, int) or rep_scale < 1:
            raise UserError(f"model.rep_scale is a whole number of at least 1, not {rep_scale!r}.")
        self.net: MobileIENet = MobileIENet(rep_scale)
        if deploy:
            self.deploy()

    def net_inputs(self, raw: Tensor) -> tuple[Tensor]:
        """10-bit DN / 4095 in the order R, Gr, Gb, B."""
        return (ten_bit(raw, self.black_level, self.white_level) / _DIVISOR,)

    def deploy(self) -> Self:
        """Merges the training branches of `net` into single convolutions, in place and for good."""
        self.net.deploy()
        return self

    @classmethod
    def read_options(cls, shapes: Shapes) -> dict[str, Any]:
        """The options that the tensors tell."""
        if not shapes.has(".conv_out."):
            return {"deploy": True}
        return {"rep_scale": shapes["att.1.conv.weight"][0] // _WIDTH}
