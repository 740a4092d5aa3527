"""Structural similarity, image by image: SSIM and MS-SSIM as the papers define them, in plain torch.

The conventions are those of `ispbench.metrics.quality`. On a CPU `ispbench.metrics.fast_similarity` computes the same
values several times as fast.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ispbench.metrics.arithmetic import deterministic, wants_gradient, widest
from ispbench.metrics.quality import average

WINDOW = 11  # side of the Gaussian window in pixels
SIGMA = 1.5
C1, C2 = 0.01**2, 0.03**2
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
MS_SSIM_SIDE = WINDOW * 2 ** (len(MS_SSIM_WEIGHTS) - 1)  # the smallest image that MS-SSIM is defined on

MeanSimilarity = Callable[[Tensor, Tensor, Tensor | None, float, bool], Tensor]


def mean_similarity(
    images: Tensor, references: Tensor, mask: Tensor | None, correction: float, contrast_only: bool
) -> Tensor:
    """Mean similarity over the windows inside an image, or over those that lie in the mask as a whole.

    In float64, since variances are small differences of large numbers; in float32 where a gradient is wanted, so that
    training stays fast.

    Args:
        images: Shape (N, C, H, W), in [0, 1].
        references: Of the same shape.
        mask: Shape (N, 1, H, W), 0 or 1; None for all windows.
        correction: Factor of the variances and the covariance.
        contrast_only: Whether to leave out the luminance term.

    Returns:
        Shape (N, C), float64.
    """
    dtype = torch.float32 if wants_gradient(images, references) else widest(images)
    x, y = images.to(dtype), references.to(dtype)
    mean_x, mean_y = window_means(x), window_means(y)
    variance_x = correction * (window_means(x * x) - mean_x * mean_x)
    variance_y = correction * (window_means(y * y) - mean_y * mean_y)
    covariance = correction * (window_means(x * y) - mean_x * mean_y)
    contrast = (2 * covariance + C2) / (variance_x + variance_y + C2)
    luminance = (2 * mean_x * mean_y + C1) / (mean_x * mean_x + mean_y * mean_y + C1)
    return average(contrast if contrast_only else luminance * contrast, valid_windows(mask))


def ssim(
    images: Tensor,
    references: Tensor,
    mask: Tensor | None = None,
    covariance: str = "population",
    similarity: MeanSimilarity = mean_similarity,
) -> Tensor:
    """Structural similarity of each image, a mean over channels and 11x11 windows inside the image; shape (N,).

    Gaussian window of sigma 1.5, K1 = 0.01, K2 = 0.03.

    Args:
        images: Shape (N, C, H, W), H and W at least 11.
        references: Of the same shape.
        mask: Only windows that lie in it as a whole count.
        covariance: ``population`` divides by the window's 121 pixels, as Wang et al. and AWNet do; ``sample`` by 120,
            the default of scikit-image and so the SSIM of LiteISPNet and ISPDiffuser.
        similarity: How the mean over the windows is computed.

    Raises:
        ValueError: for a smaller image or another covariance.

    Reference: Wang et al., "Image quality assessment: from error visibility to structural similarity", TIP 2004.
    """
    if covariance not in ("population", "sample"):
        raise ValueError(f"the covariance of SSIM is population or sample, not {covariance!r}")
    height, width = images.shape[-2:]
    if min(height, width) < WINDOW:
        raise ValueError(f"SSIM needs images of at least {WINDOW}x{WINDOW} pixels, not {height}x{width}")
    correction = WINDOW**2 / (WINDOW**2 - 1) if covariance == "sample" else 1.0
    return similarity(images, references, mask, correction, False).mean(1).float()


def ms_ssim(
    images: Tensor,
    references: Tensor,
    mask: Tensor | None = None,
    similarity: MeanSimilarity = mean_similarity,
) -> Tensor:
    """Multi-scale SSIM of each image, a mean over channels; shape (N,), NaN if a side is below `MS_SSIM_SIDE`.

    Five scales with the published weights. Each scale halves the one before by means of 2x2 pixels, without an odd last
    row or column; luminance is compared at the last scale only. A negative contrast term counts as 0.

    Args:
        images: Shape (N, C, H, W).
        references: Of the same shape.
        mask: Only windows that lie in it as a whole count.
        similarity: How the mean over the windows is computed.

    Reference: Wang et al., "Multiscale structural similarity for image quality assessment", Asilomar 2003.
    """
    if min(images.shape[-2:]) < MS_SSIM_SIDE:
        return torch.full((len(images),), torch.nan, device=images.device)
    images, references = images.float(), references.float()
    result = images.new_ones((), dtype=torch.float32)
    for scale, weight in enumerate(MS_SSIM_WEIGHTS):
        if scale:
            images, references = F.avg_pool2d(images, 2), F.avg_pool2d(references, 2)
            mask = None if mask is None else -F.max_pool2d(-mask.float(), 2)
        last = scale == len(MS_SSIM_WEIGHTS) - 1
        term = similarity(images, references, mask, 1.0, not last)
        result = result * term.clamp_min(0).pow(weight)
    return result.mean(1).float()


def window_means(maps: Tensor) -> Tensor:
    """Gaussian-weighted means over the windows inside the maps, shape (N, C, H, W) to (N, C, H - 10, W - 10)."""
    channels = maps.shape[1]
    taps = window_taps().to(maps).expand(channels, 1, WINDOW)
    with deterministic(maps):
        rows = F.conv2d(maps, taps[..., None], groups=channels)
        return F.conv2d(rows, taps[:, :, None], groups=channels)


def window_taps() -> Tensor:
    """One row of the separable Gaussian window, shape (11,), float64, with sum 1."""
    taps = torch.exp(-0.5 * ((torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2) / SIGMA).square())
    return taps / taps.sum()


def valid_windows(mask: Tensor | None) -> Tensor | None:
    """The windows that lie in a mask as a whole, shape (N, 1, H, W) to (N, 1, H - 10, W - 10)."""
    return None if mask is None else -F.max_pool2d(-mask.float(), WINDOW, stride=1)
