import itertools
import json

import numpy as np
import pytest

from ispbench.errors import UserError
from ispbench.raw.captures import Capture, CaptureRange, sensors


def test_the_five_sensors_are_those_of_the_tuning_files(shared):
    published = json.loads((shared / "spec" / "cameras.json").read_text())
    assert set(sensors()) == set(published)
    for name, sensor in sensors().items():
        # libcamera gives the black level in 16 bits
        assert sensor.black_level == 4096 * 2**sensor.bits // 65536
        np.testing.assert_allclose(
            sensor.awb_curve,
            [[item[key] for key in ("ct", "r_over_g", "b_over_g")] for item in published[name]["awb_curve"]],
        )
        assert [tuple(item) for item in sensor.ccms] == [
            (item["ct"], item["matrix"]) for item in published[name]["ccms"]
        ]
    assert {sensor.bits for sensor in sensors().values()} == {10, 12}


def test_noise_is_that_of_brooks_et_al():
    assert Capture("imx519", 4500.0, 1.0, 100.0).noise == pytest.approx((1e-4, np.exp(2.18 * np.log(1e-4) + 1.2)))
    assert Capture("imx519", 4500.0, 1.0, 12000.0).noise == pytest.approx((1.2e-2, np.exp(2.18 * np.log(1.2e-2) + 1.2)))
    rng = np.random.default_rng(0)
    captures = [CaptureRange().draw(rng) for _ in range(2000)]
    shot, read = np.log([capture.noise for capture in captures]).T
    residual = read - (2.18 * shot + 1.2)
    assert residual.std() == pytest.approx(0.26, abs=0.02)
    assert residual.mean() == pytest.approx(0, abs=0.02)
    # log-uniform: mean and standard deviation of a uniform distribution
    assert shot.mean() == pytest.approx(np.log(1e-4 * 1.2e-2) / 2, abs=0.1)
    assert shot.std() == pytest.approx(np.log(120) / 12**0.5, abs=0.05)


def test_color_matrices_are_balanced_and_captures_in_range(rng):
    for _ in range(20):
        capture = CaptureRange().draw(rng)
        np.testing.assert_allclose(capture.matrix.sum(axis=1), 1, atol=2e-4)
        assert 2900 <= capture.temperature <= 7500
        assert 100 <= capture.iso <= 12000
        assert capture.exposure == 0.8


def test_exposure_varies_on_request(rng):
    captures = [CaptureRange(exposure_spread=0.25).draw(rng) for _ in range(200)]
    exposures = [capture.exposure for capture in captures]
    assert 0.6 <= min(exposures) < 0.65
    assert 0.95 < max(exposures) <= 1.0


def test_nine_fixed_captures_have_every_light_and_iso(rng):
    several = [CaptureRange().fixed(photo, 9, rng) for photo in range(5)]
    for captures in several:
        assert len({(round(capture.temperature), round(capture.iso)) for capture in captures}) == 9
        assert {capture.camera for capture in captures} == set(sensors())
    lights = {(capture.camera, round(capture.temperature)) for capture in itertools.chain(*several)}
    isos = {(capture.camera, round(capture.iso)) for capture in itertools.chain(*several)}
    assert len(lights) == len(isos) == 15  # each of five cameras under three lights, at three ISOs


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"cameras": ("imx999",)}, "no camera 'imx999'"),
        ({"cameras": ()}, "at least one camera"),
        ({"temperature": (1000, 5000)}, "temperature is a range"),
        ({"iso": (400, 100)}, "iso is a range"),
        ({"exposure": 0.9, "exposure_spread": 0.5}, "data.exposure"),
        ({"blur": -1}, "data.blur"),
        ({"shading": 1}, "data.shading"),
    ],
)
def test_impossible_captures_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        CaptureRange(**settings)
