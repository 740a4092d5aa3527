"""Measures whether a RAW mosaic and an sRGB image can be a pair, on small, blurred versions of both.

The two images of a pair come from different cameras, with other tones and colors and some pixels apart, so that only
coarse structure is compared. Luminance tells whether both show the same scene, color contrasts tell which CFA phase the
mosaic has, and a gray-world rendering (the classical pipeline without a color matrix) must resemble the target.
"""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ispbench.raw.bayer import PHASE_OFFSETS, pack, to_rggb
from ispbench.raw.demosaic import bilinear
from ispbench.raw.levels import normalize_raw

Array = NDArray[np.floating]

GRID = 16  # cells per side of the maps that are compared
_GAMMA = 1 / 2.2
_FLAT = 0.02  # a map with a smaller standard deviation has no structure to compare


def raw_luminance(mosaic: NDArray[np.uint16], black_level: float, white_level: float) -> Array:
    """The coarse, gamma-encoded green of an RGGB mosaic in DN, shape (GRID, GRID)."""
    green = (mosaic[0::2, 1::2].astype(np.float32) + mosaic[1::2, 0::2]) / 2
    return coarse(np.clip(normalize_raw(green, black_level, white_level), 0, 1) ** _GAMMA)


def target_luminance(target: NDArray[np.uint8]) -> Array:
    """The coarse luminance of an sRGB image, shape (H, W, 3), as shape (GRID, GRID) in [0, 1]."""
    return coarse(target).mean(axis=2) / 255


def coarse(image: NDArray) -> Array:
    """Averages an image over the cells of the grid, (H, W, ...) to (GRID, GRID, ...)."""
    return np.asarray(cv2.resize(image.astype(np.float32, copy=False), (GRID, GRID), interpolation=cv2.INTER_AREA))


def correlation(first: Array, second: Array) -> float:
    """Pearson correlation of two maps; NaN if one of them is flat."""
    if min(first.std(), second.std()) < _FLAT:
        return float("nan")
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def gray_world(mosaic: NDArray[np.uint16], black_level: float, white_level: float) -> Array:
    """Renders an RGGB mosaic: bilinear demosaicing, gray-world white balance, gamma.

    Args:
        mosaic: In DN, shape (H, W), even sides of at least 4.
        black_level: In DN.
        white_level: In DN.

    Returns:
        Shape (H, W, 3), in [0, 1].
    """
    raw = torch.from_numpy(pack(mosaic).astype(np.float32))[None]
    rgb = bilinear(normalize_raw(raw, black_level, white_level).clamp(0, 1))[0].numpy().transpose(1, 2, 0)
    means = rgb.mean(axis=(0, 1))
    return np.clip(rgb * (means[1] / np.maximum(means, 1e-6)), 0, 1) ** _GAMMA


def rendering_psnr(rendering: Array, target: NDArray[np.uint8]) -> float:
    """PSNR in dB, on the grid, of a rendering in [0, 1] and an sRGB image, with the exposure matched by one gain."""
    ours, theirs = coarse(rendering), coarse(target) / 255
    gain = float((ours * theirs).sum() / max((ours**2).sum(), 1e-9))
    return float(-10 * np.log10(max(float(np.mean((ours * gain - theirs) ** 2)), 1e-10)))


def color_agreement(rendering: Array, target: NDArray[np.uint8]) -> float:
    """Correlation of the coarse color contrasts R-G and B-G of two images; NaN if the target is gray."""
    ours, theirs = (_contrasts(coarse(image)) for image in (rendering, target / np.float32(255)))
    if theirs.std() < _FLAT or ours.std() < 1e-6:
        return float("nan")
    return float(np.corrcoef(ours, theirs)[0, 1])


def phase_agreements(
    mosaic: NDArray[np.uint16], target: NDArray[np.uint8], black_level: float, white_level: float
) -> dict[str, float]:
    """The color agreement of the mosaic's rendering with the target, for each phase that its CFA might have."""
    result = {}
    for phase, (top, left) in PHASE_OFFSETS.items():
        cut = to_rggb(mosaic, phase)
        window = target[top : top + cut.shape[0], left : left + cut.shape[1]]
        result[phase] = color_agreement(gray_world(cut, black_level, white_level), window)
    return result


def _contrasts(image: Array) -> Array:
    differences = image[..., (0, 2)] - image[..., 1:2]
    return (differences - differences.mean(axis=(0, 1))).ravel()
