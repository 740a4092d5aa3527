"""SSIM and MS-SSIM on a CPU by OpenCV and NumPy, several times as fast as `ispbench.metrics.similarity` in torch.

Optional: the functions have the same names and arguments, and agree to 1e-4. Where a gradient is wanted, and on other
devices, they are those of `ispbench.metrics.similarity`. ``benchmarks/metrics.py`` shows the gain.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import product
from typing import cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ispbench.metrics import similarity
from ispbench.metrics.arithmetic import wants_gradient
from ispbench.metrics.similarity import C1, C2, WINDOW, valid_windows, window_taps

_STRIP = 100_000  # pixels that one thread works on at once: their maps fit its cache
_OVERLAP = WINDOW - 1

Plane = NDArray[np.float32]


def mean_similarity(
    images: Tensor, references: Tensor, mask: Tensor | None, correction: float, contrast_only: bool
) -> Tensor:
    """`similarity.mean_similarity`, in strips of rows over the threads of torch."""
    if images.device.type != "cpu" or wants_gradient(images, references):
        return similarity.mean_similarity(images, references, mask, correction, contrast_only)
    images, references = images.detach().float(), references.detach().float()
    windows = valid_windows(mask)
    height, width = images.shape[-2:]
    count: Tensor | int = (height - _OVERLAP) * (width - _OVERLAP)
    if windows is not None:
        count = windows.sum((2, 3), dtype=torch.float64)
    rows = max(_STRIP // width, 8 * _OVERLAP)

    def total(place: tuple[int, int, int]) -> float:
        image, channel, top = place
        strip = (image, channel, slice(top, top + rows + _OVERLAP))
        loss = _loss(images[strip].numpy(), references[strip].numpy(), correction, contrast_only)
        if windows is not None:
            loss = loss * windows[image, 0, top : top + rows].numpy()
        return loss.sum(dtype=np.float64)

    places = product(range(images.shape[0]), range(images.shape[1]), range(0, height - _OVERLAP, rows))
    threads = torch.get_num_threads()
    sums = list(map(total, places) if threads == 1 else _pool(threads).map(total, places))
    return 1 - 2 * torch.tensor(sums, dtype=torch.float64).view(*images.shape[:2], -1).sum(2) / count


ssim = partial(similarity.ssim, similarity=mean_similarity)
ms_ssim = partial(similarity.ms_ssim, similarity=mean_similarity)


def _loss(x: Plane, y: Plane, correction: float, contrast_only: bool) -> Plane:
    """Half of 1 - SSIM, or of its contrast-structure part, in every window, shape (H, W) to (H - 10, W - 10).

    In s = x + y and d = x - y: 4 cov(x, y) = var(s) - var(d) and 2 (var(x) + var(y)) = var(s) + var(d), means likewise;
    so (2 cov + C) / (var + var + C) = 1 - 2 var(d) / (var(s) + var(d) + 2 C). The product of 1 - 2u and 1 - 2v is
    1 - 2 (u + v - 2uv).
    """
    total, difference = x + y, x - y
    square = difference * difference
    squares = total * total
    squares += square
    mean_s, mean_d, variance_d, variances = map(_window_means, (total, difference, square, squares))
    mean_d = mean_d * mean_d
    mean_s = mean_s * mean_s
    mean_s += mean_d
    variance_d -= mean_d
    variances -= mean_s
    variances += 2 * C2 / correction
    loss = contrast = variance_d / variances
    if not contrast_only:
        mean_s += 2 * C1
        luminance = mean_d / mean_s
        loss = contrast * luminance
        loss *= -2
        loss += contrast
        loss += luminance
    return loss[WINDOW // 2 : -(WINDOW // 2), WINDOW // 2 : -(WINDOW // 2)]


def _window_means(plane: Plane) -> Plane:
    taps = _taps()
    return cast(Plane, cv2.sepFilter2D(plane, -1, taps, taps))


@cache
def _taps() -> Plane:
    return window_taps().float().numpy()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="ispbench-ssim")
