"""Bilinear demosaicing of canonical packed RAW, in torch, so that it runs inside a model, on its device."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ispbench.precision import full_precision

_GREEN = ((0.0, 0.25, 0.0), (0.25, 1.0, 0.25), (0.0, 0.25, 0.0))
_RED_BLUE = ((0.25, 0.5, 0.25), (0.5, 1.0, 0.5), (0.25, 0.5, 0.25))


def bilinear(raw: Tensor) -> Tensor:
    """Interpolates the missing colors of each pixel from its neighbors, with mirrored borders.

    Args:
        raw: Canonical packed RAW, shape (N, 4, h, w), h and w at least 2.

    Returns:
        Linear camera RGB, shape (N, 3, 2h, 2w), with the scale and precision of `raw`, even under autocast.
    """
    mosaic = F.pixel_shuffle(raw, 2)
    samples = F.pad(mosaic.repeat(1, 3, 1, 1) * _masks(mosaic), (1, 1, 1, 1), mode="reflect")
    kernel = mosaic.new_tensor((_RED_BLUE, _GREEN, _RED_BLUE))[:, None]
    with full_precision(raw):
        return F.conv2d(samples, kernel, groups=3)


def _masks(mosaic: Tensor) -> Tensor:
    """Where an RGGB mosaic samples red, green and blue, shape (1, 3, H, W)."""
    masks = torch.zeros(1, 3, *mosaic.shape[-2:], dtype=mosaic.dtype, device=mosaic.device)
    masks[:, 0, 0::2, 0::2] = 1
    masks[:, 1, 0::2, 1::2] = 1
    masks[:, 1, 1::2, 0::2] = 1
    masks[:, 2, 1::2, 1::2] = 1
    return masks
