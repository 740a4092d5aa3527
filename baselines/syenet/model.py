"""SYENet-ISP: a tiny mobile ISP, trained over-parameterised and merged into plain convolutions for use.

Reference: Gou et al., "SYENet: A Simple Yet Effective Network for Multiple Low-Level Vision Tasks with Real-Time
Performance on Mobile Device", ICCV 2023, arXiv 2308.08137.

    >>> from ispbench.models.build import build_model
    >>> model = build_model("syenet").eval().deploy()
    >>> sum(parameter.numel() for parameter in model.parameters())
    5640
"""

from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from ispbench.errors import UserError
from ispbench.models.interface import ISPModel
from ispbench.models.reparameterized import BRANCHES, Branch, merge
from ispbench.models.shapes import Shapes
from ispbench.raw.levels import add_black_level

# Outputs of the body: the 4 x 3 channels that one PixelShuffle turns into RGB.
_BODY_CHANNELS = 12


class RepConv(nn.Module):
    """A convolution as linear branches, each once bare and once with batch norm, mixed by a 1x1 convolution.

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
        kernels = BRANCHES[kernel_size]
        self.branches = (*kernels, *(f"{name}_bn" for name in kernels))
        for name, (high, wide) in kernels.items():
            for branch in (name, f"{name}_bn"):
                conv = nn.Conv2d(channels, width, (high, wide), padding=(high // 2, wide // 2))
                bare = branch == name
                self.add_module(branch, conv if bare else nn.Sequential(conv, nn.BatchNorm2d(width)))
        self.conv_out = nn.Conv2d(len(self.branches) * width, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Convolves a feature map, shape (N, C, H, W) to (N, C', H, W)."""
        return self.conv_out(torch.cat([getattr(self, name)(x) for name in self.branches], 1))

    def merged(self, gain: float = 1.0) -> nn.Conv2d:
        """The single convolution that computes `gain` times the same in ``eval()``, exactly, borders included."""
        branches: list[Branch] = []
        for name in self.branches:
            part: Any = getattr(self, name)
            branches.append((part[0], part[1]) if name.endswith("_bn") else (part, None))
        return merge(branches, self.conv_out, self.kernel_size, gain)


class QCU(nn.Module):
    """Quadratic connection unit: ``scale * f(x) * g(x) + bias``.

    Args:
        block1: f.
        block2: g, a re-parameterisable convolution.
        channels: Channels of both their outputs.
    """

    def __init__(self, block1: nn.Module, block2: RepConv, channels: int) -> None:
        super().__init__()
        self.block1 = block1
        self.block2: nn.Module = block2
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.scale = 0.1

    def forward(self, x: Tensor) -> Tensor:
        """Maps a feature map, shape (N, C, H, W) to (N, C', H, W)."""
        return self.scale * self.block1(x) * self.block2(x) + self.bias

    def absorb_scale(self) -> None:
        """Merges g into a single convolution that holds the scale."""
        if isinstance(self.block2, RepConv):
            self.block2, self.scale = self.block2.merged(gain=self.scale), 1.0


class SYEISPNet(nn.Module):
    """The bare network, packed RAW (N, 4, h, w) to RGB (N, 3, 2h, 2w), without activation or clamping.

    It is built in the training form; `deploy` merges it. Parameters under ``tail_warm`` serve only the authors'
    self-supervised warm-up; the forward pass never reads them.

    Args:
        channels: Features of the head.
        rep_scale: Width of a branch of a re-parameterisable convolution, as a multiple of its output channels.
    """

    def __init__(self, channels: int, rep_scale: int) -> None:
        super().__init__()

        def rep(inputs: int, outputs: int, kernel_size: int) -> RepConv:
            return RepConv(inputs, outputs, kernel_size, rep_scale)

        width = _BODY_CHANNELS
        head = nn.Sequential(rep(4, channels, 5), nn.PReLU(channels), rep(channels, channels, 3))
        self.head = QCU(head, rep(4, channels, 5), channels)
        self.body = QCU(rep(channels, width, 3), rep(channels, width, 1), width)
        self.att = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), rep(width, width, 1), nn.PReLU(width), rep(width, width, 1), nn.Sigmoid()
        )
        self.tail = nn.Sequential(nn.PixelShuffle(2), rep(3, 3, 3))
        self.tail_warm = rep(width, 4, 3)

    @property
    def deployed(self) -> bool:
        """Whether the branches are merged."""
        return not hasattr(self, "tail_warm")

    def forward(self, raw: Tensor) -> Tensor:
        """Renders the image of RAW in the order R, Gr, Gb, B, white = 1, black level kept.

        Raises:
            UserError: when the training form trains on a single image, as its batch norms of 1x1 maps cannot.
        """
        if self.training and not self.deployed and len(raw) < 2:
            raise UserError("syenet trains with batch norm on 1x1 maps: give it batches of at least 2 images.")
        x = self.body(self.head(raw))
        return self.tail(self.att(x) * x)

    def deploy(self) -> Self:
        """Merges the branches into single convolutions, in place and for good, and drops ``tail_warm``.

        The merged network computes what this one computes in ``eval()``.
        """
        if not self.deployed:
            del self.tail_warm
            for module in list(self.modules()):
                if isinstance(module, QCU):
                    module.absorb_scale()
                for name, child in list(module.named_children()):
                    if isinstance(child, RepConv):
                        setattr(module, name, child.merged())
        return self


class SYEISP(ISPModel):
    """SYENet-ISP behind the common interface.

    Args:
        channels: Features of the head.
        rep_scale: Width of a training branch, as a multiple of its output channels.
        deploy: Builds the merged form.

    Raises:
        UserError: for a width below 1.
    """

    paper: ClassVar[str] = "Gou et al., ICCV 2023"
    input_kind: ClassVar[str] = "packed RAW, black level kept"
    unused_parameters = ("tail_warm",)

    def __init__(
        self,
        channels: int = 12,
        rep_scale: int = 4,
        deploy: bool = False,
    ) -> None:
        super().__init__()
        for name, value in (("channels", channels), ("rep_scale", rep_scale)):
            if not isinstance(value, int) or value < 1:
                raise UserError(f"model.{name} is a whole number of at least 1, not {value!r}.")
        self.net: SYEISPNet = SYEISPNet(channels, rep_scale)
        if deploy:
            self.deploy()

    def net_inputs(self, raw: Tensor) -> tuple[Tensor, ...]:
        """``DN / white_level`` in the order R, Gr, Gb, B."""
        return (add_black_level(raw, self.black_level, self.white_level),)

    def deploy(self) -> Self:
        """Merges the training branches of `net` into single convolutions, in place and for good."""
        self.net.deploy()
        return self

    @classmethod
    def read_options(cls, shapes: Shapes) -> dict[str, Any]:
        """The options that the tensors tell."""
        channels = shapes["head.bias"][1]
        if not shapes.has(".conv_out."):
            return {"channels": channels, "deploy": True}
        return {"channels": channels, "rep_scale": shapes["tail.1.conv.weight"][0] // 3}
