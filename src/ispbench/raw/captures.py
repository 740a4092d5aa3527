"""Captures: which sensor took a picture, in which light, at which ISO."""

import json
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from ispbench.errors import UserError

ISO_RANGE = (100.0, 12000.0)
TEMPERATURE_RANGE = (2900.0, 7500.0)
_SHOT_PER_ISO = 1e-6  # ISO 100 to 12,000 span the shot noise of Brooks et al., 1e-4 to 1.2e-2
_READ_NOISE = (2.18, 1.2, 0.26)  # log(read) = 2.18 log(shot) + 1.2, with this standard deviation
_LEVELS = 3  # lights and ISOs of fixed captures


@dataclass(frozen=True)
class Sensor:
    """A real sensor, from ``cameras.json``.

    Attributes:
        bits: Bits per value.
        black_level: In DN.
        awb_curve: Rows of color temperature in kelvin, r/g and b/g of gray.
        ccms: Color temperatures, and the matrices from camera RGB to linear sRGB, whose rows sum to 1.
    """

    bits: int
    black_level: int
    awb_curve: list[list[float]]
    ccms: list[tuple[float, list[list[float]]]]

    @property
    def white_level(self) -> int:
        """The largest value, in DN."""
        return int(2**self.bits - 1)


@cache
def sensors() -> dict[str, Sensor]:
    """All sensors by name, in alphabetical order."""
    content = json.loads(files("ispbench.raw").joinpath("cameras.json").read_text(encoding="utf-8"))
    return {name: Sensor(**value) for name, value in content.items() if name != "source"}


@dataclass(frozen=True)
class Capture:
    """One capture. Light and ISO vary from picture to picture, the rest belongs to the camera.

    Attributes:
        camera: Name of a sensor in ``cameras.json``.
        temperature: Color temperature of the light in kelvin.
        exposure: Brightness of the RAW relative to one whose white just saturates the green pixels.
        iso: Decides the noise, 100 to 12,000.
        read_deviation: Natural logarithm of the read noise relative to the typical one at this ISO.
        blur: Standard deviation of the lens's Gaussian blur, in pixels.
        shading: Share of the light that the lens loses in the corners of the picture, 0 to 1.
    """

    camera: str
    temperature: float
    exposure: float
    iso: float
    read_deviation: float = 0.0
    blur: float = 0.0
    shading: float = 0.0

    def __str__(self) -> str:
        return f"{self.camera}-{self.temperature:.0f}K-iso{self.iso:.0f}"

    @property
    def sensor(self) -> Sensor:
        """The sensor of this camera."""
        return sensors()[self.camera]

    @property
    def gray(self) -> NDArray[np.float64]:
        """The camera RGB of a gray surface, green = 1, shape (3,)."""
        curve = np.asarray(self.sensor.awb_curve)
        red, blue = (np.interp(self.temperature, curve[:, 0], curve[:, column]) for column in (1, 2))
        return np.array([red, 1.0, blue])

    @property
    def matrix(self) -> NDArray[np.float64]:
        """Camera RGB to linear sRGB, shape (3, 3), rows sum to 1, interpolated between the calibrated temperatures."""
        temperatures = [temperature for temperature, _ in self.sensor.ccms]
        matrices = np.array([matrix for _, matrix in self.sensor.ccms]).reshape(-1, 9)
        blend = [np.interp(self.temperature, temperatures, matrices[:, cell]) for cell in range(9)]
        return np.reshape(blend, (3, 3))

    @property
    def noise(self) -> tuple[float, float]:
        """Shot and read noise: the variance at signal x is ``shot * x + read``, in units of the range above black.

        Source: Brooks et al. 2019, section 3.1, fitted to real cameras.
        """
        slope, offset, _ = _READ_NOISE
        shot = _SHOT_PER_ISO * self.iso
        return shot, float(np.exp(slope * np.log(shot) + offset + self.read_deviation))


@dataclass(frozen=True)
class CaptureRange:
    """The captures that a set of pictures is made of.

    Args:
        cameras: Names of sensors.
        temperature: Lowest and highest color temperature in kelvin.
        iso: Lowest and highest ISO.
        exposure: Of every capture, see `Capture`.
        exposure_spread: Largest relative deviation from it; 0: none, as no network can read from a RAW how the meter
            deviated.
        blur: Of the lens, see `Capture`.
        shading: Of the lens, see `Capture`.

    Raises:
        UserError: for an unknown camera or a range out of bounds.
    """

    cameras: tuple[str, ...] = field(default_factory=lambda: tuple(sensors()))
    temperature: tuple[float, float] = TEMPERATURE_RANGE
    iso: tuple[float, float] = ISO_RANGE
    exposure: float = 0.8
    exposure_spread: float = 0.0
    blur: float = 0.0
    shading: float = 0.0

    def __post_init__(self) -> None:
        if unknown := [camera for camera in self.cameras if camera not in sensors()]:
            raise UserError(f"There is no camera {unknown[0]!r}; choose among {', '.join(sensors())}.")
        if not self.cameras:
            raise UserError("A track needs at least one camera.")
        for name, low, high, bounds in (
            ("temperature", *self.temperature, (2500, 9000)),
            ("iso", *self.iso, ISO_RANGE),
        ):
            if not bounds[0] <= low <= high <= bounds[1]:
                raise UserError(f"{name} is a range within {bounds[0]:g} to {bounds[1]:g}, not [{low:g}, {high:g}].")
        if not 0 < self.exposure * (1 + self.exposure_spread) <= 1 or not 0 <= self.exposure_spread < 1:
            raise UserError(
                f"data.exposure={self.exposure:g} with data.exposure_spread={self.exposure_spread:g} leaves the range "
                "above 0 and up to 1."
            )
        if self.blur < 0 or not 0 <= self.shading < 1:
            raise UserError("data.blur is at least 0, and data.shading at least 0 and below 1.")

    def draw(self, rng: np.random.Generator) -> Capture:
        """Draws a capture: the light uniformly in mireds, ISO and noise log-uniformly."""
        mired = rng.uniform(1e6 / self.temperature[1], 1e6 / self.temperature[0])
        iso = np.exp(rng.uniform(*np.log(self.iso)))
        camera = str(self.cameras[rng.integers(len(self.cameras))])
        return self._capture(camera, 1e6 / mired, float(iso), rng)

    def fixed(self, photo: int, count: int, rng: np.random.Generator) -> list[Capture]:
        """The captures of a test photograph.

        Light and ISO take three values each, evenly spread over their ranges; nine captures have every combination.
        Over the photographs, every camera meets every light and ISO.

        Args:
            photo: The number of the photograph in its split.
            count: How many captures, 1 to 9.
            rng: Draws what has no levels: deviations of read noise and exposure.
        """
        mireds = np.linspace(1e6 / self.temperature[0], 1e6 / self.temperature[1], _LEVELS)
        isos = np.geomspace(*self.iso, _LEVELS)
        captures = []
        for number in range(count):
            camera = self.cameras[(number - photo) % len(self.cameras)]
            light, iso = number % _LEVELS, (number + number // _LEVELS + photo) % _LEVELS
            captures.append(self._capture(camera, 1e6 / mireds[light], float(isos[iso]), rng))
        return captures

    def _capture(self, camera: str, temperature: float, iso: float, rng: np.random.Generator) -> Capture:
        exposure = self.exposure * (1 + self.exposure_spread * rng.uniform(-1, 1))
        deviation = _READ_NOISE[2] * rng.standard_normal()
        return Capture(camera, float(temperature), exposure, iso, deviation, self.blur, self.shading)
