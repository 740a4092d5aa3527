import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ispbench.data.image_files import read_mosaic, read_srgb, stored_bits
from ispbench.data.name_list import Strings
from ispbench.errors import UserError


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy", ".raw"])
def test_mosaics_come_back_from_every_format(tmp_path, rng, suffix):
    mosaic = rng.integers(0, 4096, (6, 8)).astype(np.uint16)
    path = tmp_path / f"a{suffix}"
    if suffix == ".npy":
        np.save(path, mosaic)
    elif suffix == ".raw":
        path.write_bytes(mosaic.astype("<u2").tobytes())
    else:
        cv2.imwrite(str(path), mosaic)
    back = read_mosaic(path, (6, 8))
    assert back.dtype == np.uint16
    np.testing.assert_array_equal(back, mosaic)
    assert stored_bits(path) == 16


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy"])
def test_targets_come_back_from_every_lossless_format(tmp_path, rng, suffix):
    target = rng.integers(0, 256, (6, 8, 3)).astype(np.uint8)
    path = tmp_path / f"a{suffix}"
    np.save(path, target) if suffix == ".npy" else cv2.imwrite(str(path), target[..., ::-1])
    np.testing.assert_array_equal(read_srgb(path), target)


def test_eight_bit_png_is_recognized(tmp_path, rng):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), rng.integers(0, 256, (6, 8)).astype(np.uint8))
    assert stored_bits(path) == 8
    assert read_mosaic(path).dtype == np.uint16


def damaged(tmp_path, kind):
    path = tmp_path / ("a.npy" if kind.startswith("npy") else "a.raw")
    if kind == "npy cut":
        np.save(path, np.zeros((64, 64), np.uint16))
        path.write_bytes(path.read_bytes()[:-100])
    elif kind == "npy float":
        np.save(path, np.zeros((4, 4)))
    elif kind == "npy pickle":
        np.save(path, np.array([{}], object), allow_pickle=True)
    else:
        path.write_bytes(b"\0" * 62)
    return path


@pytest.mark.parametrize(
    "kind, size, message",
    [
        ("npy cut", None, "not a whole .npy file"),
        ("npy float", None, "float64"),
        ("npy pickle", None, "not a whole .npy file"),
        ("raw", None, r"data\.size="),
        ("raw", (4, 8), "has 62 bytes, but 8x4 values of 16 bits are 64"),
    ],
)
def test_damaged_files_are_named(tmp_path, kind, size, message):
    with pytest.raises(UserError, match=message) as error:
        read_mosaic(damaged(tmp_path, kind), size)
    assert "a." in str(error.value)


def test_a_target_array_must_be_an_image(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((4, 4), np.uint8))
    with pytest.raises(UserError, match=r"\(H, W, 3\)"):
        read_srgb(tmp_path / "a.npy")


@given(st.lists(st.text()))
def test_strings_are_a_list(strings):
    packed = Strings(strings)
    assert list(packed) == strings
    assert packed[:] == strings
    assert packed[1::2] == strings[1::2]
    assert [packed[-1 - position] for position in range(len(packed))] == strings[::-1]
    with pytest.raises(IndexError):
        packed[len(strings)]
