"""Whole images through a network that takes one size, or multiples of something, alone."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def render_in_windows(function: Callable[[Tensor], Tensor], raw: Tensor, height: int, width: int) -> Tensor:
    """Covers an image with windows of one size and pastes the results, without blending.

    The last window of a row or column ends at the image's border and overlaps the one before. A side that is shorter
    than the window is padded by repeating its edge.

    Args:
        function: From packed RAW, shape (1, 4, `height` / 2, `width` / 2), to sRGB of twice that size.
        raw: Packed RAW, shape (N, 4, h, w).
        height: Of a window, in Bayer pixels, even.
        width: Of a window, likewise.

    Returns:
        sRGB, shape (N, 3, 2h, 2w).
    """
    size, (high, wide) = raw.shape[-2:], (height // 2, width // 2)
    raw = F.pad(raw, (0, max(wide - size[1], 0), 0, max(high - size[0], 0)), mode="replicate")
    images = raw.new_zeros(len(raw), 3, 2 * raw.shape[2], 2 * raw.shape[3])
    for number, one in enumerate(raw.split(1)):
        for top in _starts(raw.shape[2], high):
            for left in _starts(raw.shape[3], wide):
                image = function(one[..., top : top + high, left : left + wide].contiguous())
                images[number, :, 2 * top : 2 * (top + high), 2 * left : 2 * (left + wide)] = image[0]
    return images[..., : 2 * size[0], : 2 * size[1]]


def render_whole(
    function: Callable[[Tensor], Tensor], raw: Tensor, fitting: Callable[[int, int], tuple[int, int]]
) -> Tensor:
    """Renders images whole, padded to a size that the network takes by repeating their edges.

    Args:
        function: From packed RAW, shape (1, 4, h, w), to sRGB of twice that size.
        raw: Packed RAW, shape (N, 4, h, w).
        fitting: The size that fits a Bayer image of a given height and width.

    Returns:
        sRGB, shape (N, 3, 2h, 2w).
    """
    height, width = (2 * side for side in raw.shape[-2:])
    high, wide = (side // 2 for side in fitting(height, width))
    padded = F.pad(raw, (0, wide - raw.shape[3], 0, high - raw.shape[2]), mode="replicate")
    return torch.cat([function(one.contiguous()) for one in padded.split(1)])[..., :height, :width]


def _starts(length: int, window: int) -> list[int]:
    return [*range(0, length - window, window), length - window]
