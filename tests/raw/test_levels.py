import numpy as np
import pytest

from ispbench.raw.levels import BGRG_ORDER, add_black_level, normalize_raw, ten_bit


def test_black_is_zero_and_white_is_one():
    np.testing.assert_allclose(normalize_raw(np.array([63.0, 1020.0]), 63, 1020), [0, 1])


def test_noise_below_black_and_values_above_white_are_kept():
    np.testing.assert_allclose(normalize_raw(np.array([40.0, 1023.0]), 63, 1020), [-23 / 957, 960 / 957])


def test_add_black_level_equals_the_division_by_white(rng):
    dn = rng.integers(0, 1024, (4, 5, 5)).astype(float)
    np.testing.assert_allclose(add_black_level(normalize_raw(dn, 63, 1020), 63, 1020), dn / (4 * 255))


@pytest.mark.parametrize(
    "black, white, factor", [(63, 1020, 1), (64, 1023, 1), (255, 4095, 1023 / 4095), (0, 255, 1023 / 255)]
)
def test_ten_bit_numbers_are_the_sensors_or_scaled_to_its_depth(rng, black, white, factor):
    dn = rng.integers(0, white + 1, (4, 5, 5)).astype(float)
    np.testing.assert_allclose(ten_bit(normalize_raw(dn, black, white), black, white), dn * factor, atol=1e-9)


def test_authors_stacking_order():
    mosaic = np.arange(64).reshape(8, 8)
    canonical = np.stack([mosaic[0::2, 0::2], mosaic[0::2, 1::2], mosaic[1::2, 0::2], mosaic[1::2, 1::2]])
    authors = np.stack([mosaic[1::2, 1::2], mosaic[0::2, 1::2], mosaic[0::2, 0::2], mosaic[1::2, 0::2]])
    np.testing.assert_array_equal(canonical[BGRG_ORDER], authors)
