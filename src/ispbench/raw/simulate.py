"""Sensor simulation: the RAW that a camera would have recorded of an sRGB photo.

Inverts a camera pipeline step by step (tone curve, gamma, color matrix, white balance), then adds what a sensor adds
(Bayer mosaic, shot and read noise, quantization on a black level).

Reference: Brooks et al., "Unprocessing Images for Learned Raw Denoising", CVPR 2019, arXiv:1811.11127. White-balance
curves and color matrices of real sensors: ``cameras.json``. Noise: measured on a OnePlus 6 (IMX519, green channel).
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from ispbench.raw.levels import add_black_level

Array = NDArray[np.float64]

# Variance a*x + b of the noise at signal x, in units of full scale, at the two ends of the ISO range.
_ISO_RANGE = (100.0, 3200.0)
_SHOT_NOISE = (1.06e-5, 1.79e-4)
_READ_NOISE = (1.76e-8, 1.70e-6)
_HIGHLIGHT_START = 0.9  # above this gray value the inverse gains fade out, so that clipped highlights stay white


@dataclass(frozen=True)
class Capture:
    """What the camera was and did.

    Attributes:
        camera: A sensor of ``cameras.json``.
        temperature: Color temperature of the light in kelvin.
        exposure: Brightness of the RAW relative to a white level exposure.
        iso: Sets the noise, 100 to 3200.
    """

    camera: str
    temperature: float
    exposure: float
    iso: float

    @property
    def gray(self) -> Array:
        """The camera RGB of a gray surface, green = 1, shape (3,)."""
        curve = np.asarray(_cameras()[self.camera]["awb_curve"])
        red, blue = (np.interp(self.temperature, curve[:, 0], curve[:, column]) for column in (1, 2))
        return np.array([red, 1.0, blue])

    @property
    def matrix(self) -> Array:
        """Camera RGB to linear sRGB, shape (3, 3), rows sum to 1, interpolated between the calibrated temperatures."""
        temperatures = [temperature for temperature, _ in _cameras()[self.camera]["ccms"]]
        matrices = np.array([matrix for _, matrix in _cameras()[self.camera]["ccms"]]).reshape(-1, 9)
        blend = [np.interp(self.temperature, temperatures, matrices[:, cell]) for cell in range(9)]
        return np.reshape(blend, (3, 3))

    @property
    def noise(self) -> tuple[float, float]:
        """Shot and read noise: the variance at signal x is ``a*x + b``."""
        span = np.log(_ISO_RANGE)
        shot, read = (np.exp(np.interp(np.log(self.iso), span, np.log(ends))) for ends in (_SHOT_NOISE, _READ_NOISE))
        return float(shot), float(read)


@cache
def _cameras() -> dict:
    cameras = json.loads(files("ispbench.raw").joinpath("cameras.json").read_text())
    return {name: value for name, value in cameras.items() if name != "source"}


def sample_capture(rng: np.random.Generator) -> Capture:
    """Draws a camera, a light between 2900 K and 7500 K (uniform in mireds), an exposure and an ISO (log-uniform)."""
    return Capture(
        camera=str(rng.choice(sorted(_cameras()))),
        temperature=float(1e6 / rng.uniform(1e6 / 7500, 1e6 / 2900)),
        exposure=float(rng.uniform(0.6, 1.0)),
        iso=float(np.exp(rng.uniform(*np.log(_ISO_RANGE)))),
    )


def unprocess(photo: NDArray[np.uint8], capture: Capture) -> Array:
    """Linear camera RGB of an sRGB photo.

    Args:
        photo: Shape (H, W, 3).
        capture: The camera and its settings.

    Returns:
        Shape (H, W, 3), in [0, 1], 1 where the sensor saturates.
    """
    toned = photo / 255.0
    display = 0.5 - np.sin(np.arcsin(1.0 - 2.0 * toned) / 3.0)  # inverts the tone curve 3x^2 - 2x^3
    linear = np.maximum(display, 1e-8) ** 2.2
    camera = linear @ np.linalg.inv(capture.matrix).T
    brightness = camera.mean(axis=2, keepdims=True)
    highlight = (np.maximum(brightness - _HIGHLIGHT_START, 0) / (1 - _HIGHLIGHT_START)) ** 2
    gains = capture.gray * capture.exposure
    return np.clip(camera * np.maximum(highlight + (1 - highlight) * gains, gains), 0, 1)


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
    noisy = mosaic + rng.standard_normal(mosaic.shape) * np.sqrt(shot * mosaic + read)
    return np.clip(np.rint(add_black_level(noisy, black_level, white_level) * white_level), 0, white_level).astype(
        np.uint16
    )
