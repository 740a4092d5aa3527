"""Pixel coordinates as input planes, for networks whose colors depend on the position in the image."""

import torch
from torch import Tensor


def coordinate_grid(image: Tensor, extent_x: float = 1.0, extent_y: float = 1.0) -> Tensor:
    """The coordinates of the pixel centers of an image, with 0 in the middle.

    Args:
        image: Shape (N, C, H, W); only its shape, type and device matter.
        extent_x: The left and right edges are at -extent_x and extent_x.
        extent_y: The top and bottom edges are at -extent_y and extent_y.

    Returns:
        Shape (N, 2, H, W), x (along the columns) before y, expanded over N without a copy.
    """
    n, _, height, width = image.shape
    x = _centers(width, image) * extent_x
    y = _centers(height, image) * extent_y
    grid = torch.stack((x.expand(height, width), y[:, None].expand(height, width)))
    return grid.to(image.dtype).expand(n, -1, -1, -1)


def _centers(count: int, image: Tensor) -> Tensor:
    """The centers of `count` equal cells of [-1, 1], in float32, since half precision cannot count that many pixels."""
    return (2 * torch.arange(count, device=image.device, dtype=torch.float32) + 1) / count - 1
