"""Pixel coordinates as input planes, for networks whose colors depend on the place in the image."""

import torch
from torch import Tensor


def coordinate_grid(image: Tensor, extent_x: float = 1.0, extent_y: float = 1.0) -> Tensor:
    """The coordinates of the pixel centers of an image, 0 at its middle.

    Args:
        image: Shape (N, C, H, W); only its shape, type and device count.
        extent_x: The left and right edges lie at -extent_x and extent_x.
        extent_y: The same for the top and bottom edges.

    Returns:
        Shape (N, 2, H, W), x (along the columns) before y, expanded over N without a copy.
    """
    n, _, height, width = image.shape
    x = _centers(width, image) * extent_x
    y = _centers(height, image) * extent_y
    grid = torch.stack((x.expand(height, width), y[:, None].expand(height, width)))
    return grid.to(image.dtype).expand(n, -1, -1, -1)


def _centers(count: int, image: Tensor) -> Tensor:
    """The centers of `count` equal cells of [-1, 1], in float32: half types lack the digits to count pixels."""
    return (2 * torch.arange(count, device=image.device, dtype=torch.float32) + 1) / count - 1
