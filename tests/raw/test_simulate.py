import numpy as np
import pytest

from ispbench.raw.dead_leaves import dead_leaves
from ispbench.raw.simulate import Capture, expose, sample_capture, unprocess

CAPTURE = Capture("imx378", 4500.0, 1.0, 100.0)


def render(camera_rgb, capture):
    """The forward pipeline, written independently of its inverse."""
    balanced = camera_rgb / (capture.gray * capture.exposure)
    linear = balanced @ capture.matrix.T
    display = np.clip(linear, 0, 1) ** (1 / 2.2)
    return 3 * display**2 - 2 * display**3


def test_unprocess_is_inverted_by_the_forward_pipeline(rng):
    photo = rng.integers(60, 160, (16, 16, 3)).astype(np.uint8)
    np.testing.assert_allclose(render(unprocess(photo, CAPTURE), CAPTURE), photo / 255, atol=1e-6)


def test_gray_has_the_white_balance_of_the_light():
    gray = unprocess(np.full((2, 2, 3), 120, np.uint8), CAPTURE)
    np.testing.assert_allclose(gray[0, 0] / gray[0, 0, 1], [0.4472, 1, 0.6171], atol=1e-3)


def test_white_saturates_the_sensor():
    np.testing.assert_allclose(unprocess(np.full((2, 2, 3), 255, np.uint8), CAPTURE), 1, atol=1e-6)


def test_color_matrices_are_balanced(rng):
    for _ in range(20):
        capture = sample_capture(rng)
        np.testing.assert_allclose(capture.matrix.sum(axis=1), 1, atol=2e-4)
        assert 2900 <= capture.temperature <= 7500


def test_noise_has_the_stated_variance():
    capture = Capture("imx519", 4500.0, 1.0, 3200.0)
    signal = np.full((400, 400, 3), 0.25)
    mosaic = expose(signal, capture, np.random.default_rng(0), 64, 1023)
    shot, read = capture.noise
    assert mosaic.mean() == pytest.approx(64 + 0.25 * 959, abs=0.1)
    expected = (shot * 0.25 + read) * 959**2 + 1 / 12
    assert mosaic.astype(float).var() == pytest.approx(expected, rel=0.02)


def test_noise_ends_are_the_measured_ones():
    assert Capture("imx519", 4500.0, 1.0, 100.0).noise == pytest.approx((1.06e-5, 1.76e-8))
    assert Capture("imx519", 4500.0, 1.0, 3200.0).noise == pytest.approx((1.79e-4, 1.70e-6))


def test_mosaic_is_rggb_on_the_black_level():
    camera = np.zeros((4, 4, 3))
    camera[..., 0] = 1.0
    mosaic = expose(camera, CAPTURE, np.random.default_rng(0), 64, 1023)
    assert mosaic.dtype == np.uint16
    np.testing.assert_allclose(mosaic[0::2, 0::2], 1023, atol=15)
    np.testing.assert_allclose(mosaic[0::2, 1::2], 64, atol=2)
    np.testing.assert_allclose(mosaic[1::2], 64, atol=2)


def test_dead_leaves_use_the_palette_and_the_seed():
    palette = np.array([[250, 0, 0], [200, 0, 0]], np.uint8)
    first, second = (dead_leaves(64, palette, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (64, 64, 3)
    assert first[..., 0].mean() > 100
    assert first[..., 1].mean() < 10
