import numpy as np
import pytest

from ispbench.raw import simulate as simulation
from ispbench.raw.captures import Capture, sensors
from ispbench.raw.dead_leaves import dead_leaves
from ispbench.raw.simulate import BLACK_LEVEL, WHITE_LEVEL, expose, simulate, unprocess

CAPTURE = Capture("imx378", 4500.0, 1.0, 100.0)


def render(camera_rgb, capture):
    """The forward pipeline, written independently of its inverse."""
    balanced = camera_rgb / (capture.gray * capture.exposure)
    linear = balanced @ capture.matrix.T
    display = np.clip(linear, 0, 1) ** (1 / 2.2)
    return 3 * display**2 - 2 * display**3


def canonical(mosaic):
    return (mosaic.astype(float) - BLACK_LEVEL) / (WHITE_LEVEL - BLACK_LEVEL)


def gray(value, size=400):
    return np.full((size, size, 3), value, np.uint8)


@pytest.mark.parametrize("camera", sorted(sensors()))
def test_unprocess_is_inverted_by_the_forward_pipeline(rng, camera):
    capture = Capture(camera, 4500.0, 0.8, 100.0)
    photo = rng.integers(90, 130, (16, 16, 3)).astype(np.uint8)
    np.testing.assert_allclose(render(unprocess(photo, capture), capture), photo / 255, atol=1e-5)


def test_gray_has_the_white_balance_of_the_light():
    balance = unprocess(gray(120, 2), CAPTURE)
    np.testing.assert_allclose(balance[0, 0] / balance[0, 0, 1], [0.4472, 1, 0.6171], atol=1e-3)


def test_white_saturates_the_sensor():
    np.testing.assert_allclose(unprocess(gray(255, 2), CAPTURE), 1, atol=1e-6)


def test_noise_has_the_stated_variance():
    capture = Capture("imx519", 4500.0, 1.0, 3200.0, read_deviation=0.5)
    signal = np.full((400, 400, 3), 0.25, np.float32)
    mosaic = expose(signal, capture, np.random.default_rng(0), 64, 1023)
    shot, read = capture.noise
    assert mosaic.mean() == pytest.approx(64 + 0.25 * 959, abs=0.3)
    expected = (shot * 0.25 + read) * 959**2 + 1 / 12
    assert mosaic.astype(float).var() == pytest.approx(expected, rel=0.02)


def test_mosaic_is_rggb_on_the_black_level():
    camera = np.zeros((4, 4, 3), np.float32)
    camera[..., 0] = 1.0
    mosaic = expose(camera, CAPTURE, np.random.default_rng(0), 64, 1023)
    assert mosaic.dtype == np.uint16
    np.testing.assert_allclose(mosaic[0::2, 0::2], 1023, atol=40)
    np.testing.assert_allclose(mosaic[0::2, 1::2], 64, atol=2)
    np.testing.assert_allclose(mosaic[1::2], 64, atol=2)


@pytest.mark.parametrize("camera", sorted(sensors()))
def test_sensors_of_all_bits_share_one_scale(camera):
    capture = Capture(camera, 5000.0, 0.8, 100.0)
    mosaic = simulate(gray(128), capture, np.random.default_rng(0))
    expected = unprocess(gray(128, 2), capture)[0, 0]
    measured = [canonical(mosaic)[place].mean() for place in (np.s_[0::2, 0::2], np.s_[0::2, 1::2], np.s_[1::2, 1::2])]
    np.testing.assert_allclose(measured, expected, atol=3e-4)
    assert len(np.unique(mosaic)) < 2 ** sensors()[camera].bits  # quantized by the sensor, not by the common scale


def test_balanced_gray_is_gray_and_highlights_are_clipped():
    capture = Capture("imx219", 2900.0, 0.8, 100.0)
    mosaic = canonical(simulate(gray(128), capture, np.random.default_rng(0), balance=True))
    planes = [mosaic[row::2, column::2].mean() for row in (0, 1) for column in (0, 1)]
    np.testing.assert_allclose(planes, planes[1], rtol=5e-3)
    white = simulate(gray(255), capture, np.random.default_rng(0), balance=True)
    assert white.max() == WHITE_LEVEL
    assert canonical(white).mean() > 0.99


def test_shading_darkens_the_corners_by_its_share_also_in_a_crop():
    photo = gray(128, 64)
    capture = Capture("imx378", 5000.0, 0.8, 100.0)
    shaded = Capture("imx378", 5000.0, 0.8, 100.0, shading=0.4)
    plain = simulate(photo, capture, np.random.default_rng(0))
    whole = canonical(simulate(photo, shaded, np.random.default_rng(0))) / canonical(plain)
    assert whole[30:34, 30:34].mean() == pytest.approx(1, abs=0.02)
    assert whole[:2, :2].mean() == pytest.approx(0.6, abs=0.05)
    crop = simulate(photo[:8, :8], shaded, np.random.default_rng(0), window=(0, 0, 64, 64))
    assert canonical(crop).mean() / canonical(plain[:8, :8]).mean() == pytest.approx(0.66, abs=0.03)


def test_blur_smooths_an_edge():
    photo = np.zeros((32, 32, 3), np.uint8)
    photo[:, 16:] = 160
    sharp, soft = (
        simulate(photo, Capture("imx378", 5000.0, 0.8, 100.0, blur=blur), np.random.default_rng(0))
        for blur in (0.0, 1.5)
    )
    step = np.abs(np.diff(canonical(sharp)[0::2, 1::2].mean(axis=0))).max()
    assert np.abs(np.diff(canonical(soft)[0::2, 1::2].mean(axis=0))).max() < 0.7 * step


def test_the_version_is_raised_when_a_pixel_changes():
    """Fingerprints hold the simulation's version, not the pixels."""
    photo = np.stack(np.meshgrid(np.arange(0, 256, 16), np.arange(0, 256, 16)), axis=-1)
    photo = np.concatenate((photo, 255 - photo[..., :1]), axis=-1).astype(np.uint8)
    mosaic = simulate(photo, Capture("imx708", 4000.0, 0.8, 800.0), np.random.default_rng(0))
    assert simulation.VERSION == 2
    step = 65  # of the 10-bit sensor: another processor may round the other way
    np.testing.assert_allclose(mosaic[4, ::3], [8132, 12296, 8196, 9542, 13386, 11784], atol=step)


def test_dead_leaves_use_the_palette_and_the_seed():
    palette = np.array([[250, 0, 0], [200, 0, 0]], np.uint8)
    first, second = (dead_leaves(64, palette, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (64, 64, 3)
    assert first[..., 0].mean() > 100
    assert first[..., 1].mean() < 10
