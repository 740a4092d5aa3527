"""The U-Net that both AWNets are: five levels of dense blocks, joined by wavelet down- and upsampling."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from ispbench.baselines.awnet_raw.blocks import DenseBlock, Down, Shortcut, SqueezeExcite, conv3
from ispbench.errors import UserError

LEVELS = 5
PAPER = "Dai et al., ECCVW 2020"
UNUSED = tuple(f"down.{i}.conv_down." for i in range(LEVELS - 1))

# The authors' prefixes to ours. Our lists run from the finest level, `sides` from the coarsest.
_PLACES = (
    (r"conv1\.", "head."),
    (r"se(\d)\.", "encoder.{fine}.se."),
    (r"layer(\d)\.\d+\.(?=stem|conv1x1|conv_down)", "down.{fine}."),
    (r"layer(\d)\.", "encoder.{fine}.blocks."),
    (r"layer(\d)_up\.", "up.{fine}."),
    (r"sc_x(\d)\.", "shortcut.{fine}."),
    (r"scale_(\d)\.", "sides.{coarse}.0."),
)


class Stage(nn.Module):
    """Channel attention, then dense blocks, at one level."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.se = SqueezeExcite(channels)
        self.blocks = nn.Sequential(*(DenseBlock(channels) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same shape."""
        return self.blocks(self.se(x))


class AWNetBody(nn.Module):
    """AWNet but for its upsampling and its ending.

    Args:
        in_channels: Channels of the input.
        width: Channels of the finest level; each coarser one has twice as many.
        depths: Dense blocks of the five levels, finest first.
        up: Makes the upsampling to a level of C channels: features (N, 2C, H, W) and Haar bands
            (N, 4C, H, W) to (N, C, 2H, 2W).
        tail: Makes the image from the finest features.
        num_sides: The coarsest levels that have a side output.

    Raises:
        UserError: for an invalid width or invalid depths.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        depths: Sequence[int],
        up: Callable[[int], nn.Module],
        tail: nn.Module,
        num_sides: int,
    ) -> None:
        super().__init__()
        whole = isinstance(depths, Sequence) and all(isinstance(depth, int) and depth > 0 for depth in depths)
        if not whole or len(depths) != LEVELS:
            raise UserError(f"model.depths is {LEVELS} whole numbers of at least 1, not {depths!r}.")
        widths = [width * 2**level for level in range(LEVELS)]
        self.head = conv3(in_channels, width)
        self.encoder = nn.ModuleList(map(Stage, widths, depths))
        self.down = nn.ModuleList(map(Down, widths[:-1]))
        self.shortcut = nn.ModuleList(map(Shortcut, widths[:-1]))
        self.up = nn.ModuleList(map(up, widths[:-1]))
        self.sides = nn.ModuleList(
            nn.Sequential(conv3(channels, 3), nn.Sigmoid()) for channels in reversed(widths[-num_sides:])
        )
        self.tail = tail

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The image in ``eval()``; in ``train()`` the image, then the side outputs, finest first."""
        x = self.head(x)
        skips = []
        for stage, down in zip(self.encoder, self.down, strict=False):  # the coarsest stage follows below
            skip = x
            x, bands = down(stage(x))
            skips.append((skip, bands))
        x = self.encoder[-1](x)
        features = [x]
        for up, shortcut, (skip, bands) in zip(
            reversed(self.up), reversed(self.shortcut), reversed(skips), strict=True
        ):
            x = up(x, bands) + shortcut(skip)
            features.append(x)
        image = self.tail(x)
        if not self.training:
            return image
        sides = [side(level) for side, level in zip(self.sides, features, strict=False)]
        return (image, *reversed(sides))


def checked_width(width: int, divisor: int) -> int:
    """Returns `width` if it is a positive multiple of `divisor`.

    Raises:
        UserError: if it is not.
    """
    if not isinstance(width, int) or width < 1 or width % divisor:
        raise UserError(f"model.width is a positive multiple of {divisor}, not {width!r}.")
    return width


def from_official(state: Mapping[str, Any], tail: Mapping[str, str]) -> dict[str, Any]:
    """The authors' tensors under the names of `AWNetBody`.

    Args:
        state: Names in the authors' checkpoint to tensors.
        tail: The authors' prefixes of the ending to those here.
    """
    places = (*_PLACES, *((re.escape(theirs), ours) for theirs, ours in tail.items()))
    return {_renamed(name, places): tensor for name, tensor in state.items()}


def _renamed(name: str, places: Sequence[tuple[str, str]]) -> str:
    for prefix, place in places:
        if match := re.match(prefix, name):
            level = int(match[1]) if match.re.groups else 0
            return place.format(fine=level - 1, coarse=LEVELS - level) + name[match.end() :]
    return name
