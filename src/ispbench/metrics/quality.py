"""PSNR and its variants, image by image.

Every full-reference metric takes a batch of images and references, shape (N, 3, H, W), sRGB in [0, 1], and returns N
values in float32, whatever the precision of its inputs. A set's score is the mean of its images' values; pooling the
error over the set instead gives other numbers. A mask, shape (N, 1, H, W), restricts a score to the pixels where it is
1; an image without any has the score NaN.

    >>> import torch
    >>> psnr(torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 0.1))
    tensor([20.])
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ispbench.metrics.arithmetic import widest

PSNR_CAP = 100.0  # of two identical images, so that a mean exists
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def quantize(images: Tensor) -> Tensor:
    """Clamps to [0, 1] and rounds to 8 bits, as a saved image would be."""
    return images.float().clamp(0, 1).mul(255).round().div(255)


def psnr(images: Tensor, references: Tensor, mask: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio of each image over all its RGB values, in dB, at most `PSNR_CAP`; shape (N,)."""
    return _decibels(average(F.mse_loss(images.float(), references.float(), reduction="none"), mask).mean(1))


def psnr_channel(images: Tensor, references: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean of the PSNRs of R, G and B, in dB; shape (N,).

    At least `psnr`; some papers report it (SYENet, ICCV 2023, arXiv:2308.08137).
    """
    return _decibels(average(F.mse_loss(images.float(), references.float(), reduction="none"), mask)).mean(1)


def psnr_luminance(images: Tensor, references: Tensor, mask: Tensor | None = None) -> Tensor:
    """PSNR of the luma of ITU-R BT.601, full range, in dB; shape (N,)."""
    weights = torch.tensor(_LUMA, device=images.device).view(1, 3, 1, 1)
    error = ((images.float() - references.float()) * weights).sum(1, keepdim=True)
    return _decibels(average(error.square(), mask).mean(1))


def psnr_color_fitted(images: Tensor, references: Tensor, mask: Tensor | None = None) -> Tensor:
    """`psnr` after the best affine color map, in dB; shape (N,).

    Each image's colors are mapped to its reference's by a 3x3 matrix and an offset, fitted by least squares over the
    (valid) pixels, then clamped to [0, 1]. What remains is the error that no such map explains: texture, sharpness and
    noise rather than color. At least `psnr`, since changing nothing is one of the maps. It has no gradient.
    """
    return _decibels(average((fit_colors(images, references, mask) - references).square(), mask).mean(1))


@torch.no_grad()
def fit_colors(images: Tensor, references: Tensor, mask: Tensor | None = None) -> Tensor:
    """Maps the colors of each image to those of its reference by the best affine map, clamped to [0, 1].

    Colors that do not vary over an image leave the map undetermined; it is then the smallest one.

    Args:
        images: Shape (N, 3, H, W).
        references: sRGB in [0, 1], of the same shape.
        mask: The pixels that the fit uses, shape (N, 1, H, W); None for all.

    Returns:
        Shape (N, 3, H, W), float64; NaN for an image without valid pixels.
    """
    x, y = (value.to(widest(value)).flatten(2) for value in (images, references))
    weights = torch.ones_like(x[:, :1]) if mask is None else mask.to(x).flatten(2)
    weights = weights / weights.sum(2, keepdim=True)
    mean_x, mean_y = ((value * weights).sum(2, keepdim=True) for value in (x, y))
    x, weighted = x - mean_x, ((x - mean_x) * weights).mT
    # The normal equations of the centered colors. Below the tolerance a variance is rounding: 8 bits are 4e-3 apart.
    inverse = torch.linalg.pinv((x @ weighted).nan_to_num(), atol=1e-12, rtol=1e-10, hermitian=True)
    matrix = ((y - mean_y) @ weighted) @ inverse
    return (matrix @ x + mean_y).clamp(0, 1).view(images.shape)


def average(maps: Tensor, mask: Tensor | None = None) -> Tensor:
    """Means over the pixels, or over those of a mask, shape (N, C, H, W) to (N, C)."""
    if mask is None:
        return maps.mean(3).mean(2, dtype=widest(maps))
    return (maps * mask).sum(3).sum(2, dtype=widest(maps)) / mask.sum((2, 3), dtype=widest(maps))


def _decibels(error: Tensor) -> Tensor:
    return (-10 * torch.log10(error)).clamp_max(PSNR_CAP).float()
