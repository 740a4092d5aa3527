"""Image quality, image by image: PSNR, SSIM, MS-SSIM, LPIPS.

Each function takes a batch of images and references, shape (N, 3, H, W), sRGB in [0, 1], and returns N values in
float32, whatever the precision of its inputs. A set's score is the mean of its images' values; pooling the error over
the set instead gives other numbers. A mask, shape (N, 1, H, W), restricts a score to the pixels where it is 1; an image
without any has the score NaN.

    >>> import torch
    >>> psnr(torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 0.1))
    tensor([20.])
"""

import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import product
from typing import TypeVar, cast

import cv2
import lpips
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ispbench.metrics.backbones import load_features
from ispbench.metrics.exact import exact_float32

PSNR_CAP = 100.0  # of two identical images, so that a mean exists
WINDOW = 11  # side of SSIM's window, sigma 1.5
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
MS_SSIM_SIDE = WINDOW * 2 ** (len(MS_SSIM_WEIGHTS) - 1)  # the smallest image that MS-SSIM is defined on
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_C1, _C2 = 0.01**2, 0.03**2
_STRIP = 100_000  # pixels that one thread works on at once on a CPU, whose maps its cache holds

Plane = NDArray[np.float32]
Map = TypeVar("Map", Tensor, Plane)


def quantise(images: Tensor) -> Tensor:
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


def ssim(images: Tensor, references: Tensor, mask: Tensor | None = None, covariance: str = "population") -> Tensor:
    """Structural similarity of each image, a mean over channels and 11x11 windows inside the image; shape (N,).

    Gaussian window of sigma 1.5, K1 = 0.01, K2 = 0.03.

    Args:
        images: Shape (N, C, H, W), H and W at least 11.
        references: Of the same shape.
        mask: Windows count that lie in it as a whole.
        covariance: ``population`` divides by the window's 121 pixels, as Wang et al. and AWNet do; ``sample`` by 120,
            the default of scikit-image and so the SSIM of LiteISPNet and ISPDiffuser.

    Raises:
        ValueError: for a smaller image or another covariance.

    Reference: Wang et al., "Image quality assessment: from error visibility to structural similarity", TIP 2004.
    """
    if covariance not in ("population", "sample"):
        raise ValueError(f"the covariance of SSIM is population or sample, not {covariance!r}")
    correction = WINDOW**2 / (WINDOW**2 - 1) if covariance == "sample" else 1.0
    return _mean_similarity(images, references, mask, correction).mean(1).float()


def ssim_sample(images: Tensor, references: Tensor, mask: Tensor | None = None) -> Tensor:
    """`ssim` with the sample covariance; shape (N,)."""
    return ssim(images, references, mask, "sample")


def ms_ssim(images: Tensor, references: Tensor, mask: Tensor | None = None) -> Tensor:
    """Multi-scale SSIM of each image, a mean over channels; shape (N,), NaN if a side is below `MS_SSIM_SIDE`.

    Five scales with the published weights, each the mean of 2x2 pixels of the one before (an odd last row or column is
    left out); a negative contrast term counts as 0.

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
        term = _mean_similarity(images, references, mask, contrast_only=not last)
        result = result * term.clamp_min(0).pow(weight)
    return result.mean(1).float()


def average(maps: Tensor, mask: Tensor | None = None) -> Tensor:
    """Means over the pixels, or over those of a mask, shape (N, C, H, W) to (N, C)."""
    if mask is None:
        return maps.mean(3).mean(2, dtype=_accumulator(maps))
    return (maps * mask).sum(3).sum(2, dtype=_accumulator(maps)) / mask.sum((2, 3), dtype=_accumulator(maps))


def _accumulator(maps: Tensor) -> torch.dtype:
    return torch.float32 if maps.device.type == "mps" else torch.float64


def _decibels(error: Tensor) -> Tensor:
    return (-10 * torch.log10(error)).clamp_max(PSNR_CAP).float()


def _mean_similarity(
    images: Tensor, references: Tensor, mask: Tensor | None, correction: float = 1.0, contrast_only: bool = False
) -> Tensor:
    """Mean SSIM, or its contrast-structure part, over the (valid) windows, shape (N, C, H, W) to (N, C), float64."""
    height, width = images.shape[-2:]
    if min(height, width) < WINDOW:
        raise ValueError(f"SSIM needs images of at least {WINDOW}x{WINDOW} pixels, not {height}x{width}")
    images, references = images.float(), references.float()
    count: Tensor | int = (height - WINDOW + 1) * (width - WINDOW + 1)
    windows = None
    if mask is not None:
        windows = -F.max_pool2d(-mask.float(), WINDOW, stride=1)
        count = windows.sum((2, 3), dtype=_accumulator(images))
    differentiable = torch.is_grad_enabled() and (images.requires_grad or references.requires_grad)
    if images.device.type == "cpu" and not differentiable:
        loss = _losses_on_cpu(images, references, windows, correction, contrast_only)
    else:
        maps = _loss(images, references, _window_means, correction, contrast_only)
        loss = (maps if windows is None else maps * windows).sum(3).sum(2, dtype=_accumulator(images))
    return 1 - 2 * loss / count


def _losses_on_cpu(
    images: Tensor, references: Tensor, windows: Tensor | None, correction: float, contrast_only: bool
) -> Tensor:
    """The sums of `_loss`, (N, C, H, W) to (N, C), by OpenCV and NumPy: several times as fast as torch on a CPU."""
    kernel, threads = _taps().numpy(), torch.get_num_threads()
    height, width = images.shape[-2:]
    overlap = WINDOW - 1
    rows = max(_STRIP // width, 8 * overlap)

    def means(plane: Plane) -> Plane:
        return cast(Plane, cv2.sepFilter2D(plane, -1, kernel, kernel))

    def total(place: tuple[int, int, int]) -> float:
        image, channel, top = place
        strip = (image, channel, slice(top, top + rows + overlap))
        loss = _loss(images[strip].numpy(), references[strip].numpy(), means, correction, contrast_only)
        if windows is not None:
            loss = loss * windows[image, 0, top : top + rows].numpy()
        return loss.sum(dtype=np.float64)

    places = product(range(images.shape[0]), range(images.shape[1]), range(0, height - overlap, rows))
    sums = list(map(total, places) if threads == 1 else _pool(threads).map(total, places))
    return torch.tensor(sums, dtype=torch.float64).view(*images.shape[:2], -1).sum(2)


def _loss(x: Map, y: Map, means: Callable[[Map], Map], correction: float, contrast_only: bool) -> Map:
    """Half of 1 - SSIM, or of its contrast-structure part, in every window, shape (..., H, W) to (..., H - 10, W - 10).

    In s = x + y and d = x - y: 4 cov(x, y) = var(s) - var(d) and 2 (var(x) + var(y)) = var(s) + var(d), means likewise;
    so (2 cov + C) / (var + var + C) = 1 - 2 var(d) / (var(s) + var(d) + 2 C). The product of 1 - 2u and 1 - 2v is
    1 - 2 (u + v - 2uv).
    """
    total, difference = x + y, x - y
    square = difference * difference
    squares = total * total
    squares += square
    mean_s, mean_d, variance_d, variances = means(total), means(difference), means(square), means(squares)
    mean_d = mean_d * mean_d
    mean_s = mean_s * mean_s
    mean_s += mean_d
    variance_d -= mean_d
    variances -= mean_s
    variances += 2 * _C2 / correction
    loss = contrast = variance_d / variances
    if not contrast_only:
        mean_s += 2 * _C1
        luminance = mean_d / mean_s
        loss = contrast * luminance
        loss *= -2
        loss += contrast
        loss += luminance
    return loss[..., WINDOW // 2 : -(WINDOW // 2), WINDOW // 2 : -(WINDOW // 2)]


def _window_means(maps: Tensor) -> Tensor:
    """Gaussian-weighted means over the windows around each pixel; those of the five outermost pixels are to be cut."""
    channels = maps.shape[1]
    kernels = _taps().to(maps.device).expand(channels, 1, WINDOW)
    with exact_float32(maps):
        rows = F.conv2d(maps, kernels[..., None], padding=(WINDOW // 2, 0), groups=channels)
        return F.conv2d(rows, kernels[:, :, None], padding=(0, WINDOW // 2), groups=channels)


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="ispbench-ssim")


@cache
@torch.inference_mode(False)
def _taps() -> Tensor:
    taps = torch.exp(-0.5 * ((torch.arange(WINDOW) - WINDOW // 2) / 1.5).square())
    return taps / taps.sum()


class LPIPS(nn.Module):
    """Learned perceptual image patch similarity, version 0.1, of the ``lpips`` package; lower is better.

    Reference: Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018.

    Args:
        network: ``alex`` or ``vgg``.
        weights: A file of the backbone's ImageNet weights; null to search for them, see `backbones.load_features`.

    Raises:
        WeightsUnavailableError: if no weights are found.
    """

    def __init__(self, network: str = "alex", weights: str | None = None) -> None:
        super().__init__()
        state = load_features({"alex": "alexnet", "vgg": "vgg16"}[network], weights)
        with warnings.catch_warnings():  # lpips calls torchvision in a deprecated way
            warnings.simplefilter("ignore", UserWarning)
            self.model = lpips.LPIPS(net=network, version="0.1", pnet_rand=True, verbose=False)
        backbone = self.model.net
        # lpips cuts the backbone into slices whose layers keep their numbers: slice2.3.weight is features.3.weight.
        backbone.load_state_dict({name: state[f"features.{name.split('.', 1)[1]}"] for name in backbone.state_dict()})
        self.requires_grad_(False)

    def forward(self, images: Tensor, references: Tensor, mask: Tensor | None = None) -> Tensor:
        """The distance of each image to its reference, sRGB in [0, 1]; shape (N,).

        Outside a mask the image takes the reference's pixels, and each layer's distances are averaged with the share of
        valid pixels under them as weights.
        """
        images, references = images.float(), references.float()
        with exact_float32(images):
            if mask is None:
                return self.model(images, references, normalize=True).flatten()
            mask = mask.float()
            total = images.new_zeros(len(images))
            layers = zip(
                self._features(images * mask + references * (1 - mask)), self._features(references), strict=True
            )
            for linear, (x, y) in zip(self.model.lins, layers, strict=True):
                distance = linear((lpips.normalize_tensor(x) - lpips.normalize_tensor(y)).square())
                weights = F.adaptive_avg_pool2d(mask, distance.shape[-2:])
                total = total + average(distance, weights).float().squeeze(1)
        return total

    def _features(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.model.net(self.model.scaling_layer(2 * images - 1)))
