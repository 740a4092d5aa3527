"""Sensor simulation: the RAW that a camera would have recorded of an sRGB photo.

Inverts a camera pipeline step by step (tone curve, gamma, color matrix, white balance), then adds what lens and sensor
add (blur, shading, Bayer mosaic, shot and read noise, quantization on a black level).

Reference: Brooks et al., "Unprocessing Images for Learned Raw Denoising", CVPR 2019, arXiv:1811.11127. The sensors are
real ones, see ``cameras.json``.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from ispbench.raw.captures import Capture
from ispbench.raw.levels import add_black_level, normalize_raw

# Simulated mosaics of all sensors share one scale, whatever the bits and the black level of the sensor.
BLACK_LEVEL = 4096
WHITE_LEVEL = 65535
VERSION = 2  # of the simulation; raise it when a pixel changes

_HIGHLIGHT_START = 0.9  # above this gray value the inverse gains fade out, so that clipped highlights stay white

Array = NDArray[np.float32]


def _linear() -> Array:
    """Linear light of the 256 values of an sRGB photo, without its tone curve 3x^2 - 2x^3."""
    display = 0.5 - np.sin(np.arcsin(1.0 - np.arange(256) / 127.5) / 3.0)
    return (np.maximum(display, 1e-8) ** 2.2).astype(np.float32)


_LINEAR = _linear()


def unprocess(photo: NDArray[np.uint8], capture: Capture) -> Array:
    """Linear camera RGB of an sRGB photo.

    Args:
        photo: Shape (H, W, 3).
        capture: The camera and its settings.

    Returns:
        Shape (H, W, 3), in [0, 1], 1 where the sensor saturates.
    """
    camera = _LINEAR[photo] @ np.linalg.inv(capture.matrix).T.astype(np.float32)
    gains = (capture.gray * capture.exposure).astype(np.float32)
    brightness = camera @ np.full((3, 1), 1 / 3, np.float32)
    highlight = (np.maximum(brightness - _HIGHLIGHT_START, 0) / (1 - _HIGHLIGHT_START)) ** 2
    camera *= np.maximum(highlight + (1 - highlight) * gains, gains)
    return np.clip(camera, 0, 1, out=camera)


def expose(
    camera_rgb: Array, capture: Capture, rng: np.random.Generator, black_level: int, white_level: int
) -> NDArray[np.uint16]:
    """Records linear camera RGB on a noisy RGGB sensor.

    Args:
        camera_rgb: Shape (H, W, 3), in [0, 1], H and W even.
        capture: Gives the noise.
        rng: Draws the noise.
        black_level: In DN.
        white_level: In DN; the sensor saturates there.

    Returns:
        The mosaic in DN, shape (H, W).
    """
    mosaic = camera_rgb[..., 1].copy()
    mosaic[0::2, 0::2] = camera_rgb[0::2, 0::2, 0]
    mosaic[1::2, 1::2] = camera_rgb[1::2, 1::2, 2]
    shot, read = capture.noise
    mosaic += rng.standard_normal(mosaic.shape, dtype=np.float32) * np.sqrt(shot * mosaic + read, dtype=np.float32)
    dn = np.rint(add_black_level(mosaic, black_level, white_level) * white_level)
    return np.clip(dn, 0, white_level).astype(np.uint16)


def simulate(
    photo: NDArray[np.uint8],
    capture: Capture,
    rng: np.random.Generator,
    balance: bool = False,
    window: tuple[int, int, int, int] | None = None,
) -> NDArray[np.uint16]:
    """The mosaic that a capture of a photo gives, quantized by the sensor, then brought to the common scale.

    Args:
        photo: The photo or a crop of it, shape (H, W, 3), H and W even.
        capture: The camera and its settings.
        rng: Draws the noise.
        balance: Whether to multiply red and blue by the gains that make gray gray, clipping at white, as a converter
            does with the as-shot gains in a file's metadata.
        window: Of a crop: its top and left, and the height and width of the whole photo; None: the photo is whole.

    Returns:
        Shape (H, W), RGGB, between 0 and `WHITE_LEVEL` on the black level `BLACK_LEVEL`.
    """
    camera_rgb = unprocess(photo, capture)
    if capture.blur:
        camera_rgb = np.asarray(cv2.GaussianBlur(camera_rgb, (0, 0), capture.blur), np.float32)
    if capture.shading:
        camera_rgb *= _shading(photo.shape[:2], window or (0, 0, *photo.shape[:2]), capture.shading)[..., None]
    sensor = capture.sensor
    mosaic = expose(camera_rgb, capture, rng, sensor.black_level, sensor.white_level).astype(np.float32)
    canonical = normalize_raw(mosaic, sensor.black_level, sensor.white_level)
    if balance:
        red, _, blue = 1 / capture.gray
        canonical[0::2, 0::2] *= red
        canonical[1::2, 1::2] *= blue
    common = np.rint(add_black_level(canonical, BLACK_LEVEL, WHITE_LEVEL) * WHITE_LEVEL)
    return np.clip(common, 0, WHITE_LEVEL).astype(np.uint16)


def _shading(shape: tuple[int, ...], window: tuple[int, int, int, int], loss: float) -> Array:
    """The light that arrives, falling with the square of the distance from the middle, shape (H, W)."""
    top, left, height, width = window
    rows = (np.arange(top, top + shape[0], dtype=np.float32) - (height - 1) / 2) / (height / 2)
    columns = (np.arange(left, left + shape[1], dtype=np.float32) - (width - 1) / 2) / (width / 2)
    return np.asarray(1 - loss * (rows[:, None] ** 2 + columns**2) / 2, np.float32)
