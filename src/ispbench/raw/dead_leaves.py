"""Dead-leaves images: procedural images with the scale and occlusion statistics of natural ones.

Disks with power-law radii cover each other, in colors from a palette of real pixels.

References: Lee, Mumford and Huang, "Occlusion models for natural images", IJCV 2001; Achddou, Gousseau and Ladjal,
"Synthetic images as a regularity prior for image restoration neural networks", SSVM 2021.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

_RADII = (2.0, 120.0)
_EXPONENT = 3.0
_SUBPIXEL_BITS = 4


def dead_leaves(size: int, palette: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draws one image.

    Args:
        size: Height and width of the image, in pixels.
        palette: The colors to choose from, shape (N, 3).
        rng: The generator that draws the leaves.

    Returns:
        Shape (size, size, 3), sRGB.
    """
    image = np.empty((size, size, 3), np.uint8)
    image[:] = palette[rng.integers(len(palette))]
    count = size * size // 12
    radii = _power_law(rng.random(count))
    centers = rng.uniform(-radii[:, None] / 2, size + radii[:, None] / 2, (count, 2))
    colors = palette[rng.integers(len(palette), size=count)].tolist()
    scale = 1 << _SUBPIXEL_BITS
    for (x, y), radius, color in zip(
        np.rint(centers * scale).astype(int).tolist(),
        np.rint(radii * scale).astype(int).tolist(),
        colors,
        strict=True,
    ):
        cv2.circle(image, (x, y), radius, color, cv2.FILLED, cv2.LINE_AA, _SUBPIXEL_BITS)
    return _shade(image, rng)


def _power_law(uniform: NDArray[np.float64]) -> NDArray[np.float64]:
    """Maps uniform numbers to radii with a density of r^-exponent between the bounds."""
    low, high = (radius ** (1 - _EXPONENT) for radius in _RADII)
    return (low + uniform * (high - low)) ** (1 / (1 - _EXPONENT))


def _shade(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Adds a slight blur, smooth lighting and fine grain, so that no region is exactly flat."""
    size = len(image)
    blurred = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.3, 1.0))).astype(np.float32)
    light = cv2.resize(rng.uniform(0.6, 1.1, (3, 3)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    grain = rng.normal(0, rng.uniform(0, 3), (size, size, 1)).astype(np.float32)
    return np.clip(np.rint(blurred * light[..., None] + grain), 0, 255).astype(np.uint8)
