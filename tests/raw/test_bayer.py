import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ispbench.raw.bayer import PHASE_OFFSETS, pack, to_rggb, unpack

sides = st.integers(1, 8).map(lambda half: 2 * half)
mosaics = st.tuples(sides, sides).flatmap(lambda shape: arrays(np.uint16, shape))


@given(mosaics)
def test_unpack_inverts_pack(mosaic):
    np.testing.assert_array_equal(unpack(pack(mosaic)), mosaic)


def test_planes_are_r_gr_gb_b():
    cell = np.array([["R", "Gr"], ["Gb", "B"]])
    packed = pack(np.tile(cell, (2, 3)))
    assert [set(plane.ravel()) for plane in packed] == [{"R"}, {"Gr"}, {"Gb"}, {"B"}]


def test_pack_refuses_odd_sides():
    with pytest.raises(ValueError, match="even sides"):
        pack(np.zeros((3, 4)))


def test_unpack_refuses_other_plane_counts():
    with pytest.raises(ValueError, match="4 planes"):
        unpack(np.zeros((3, 2, 2)))


@pytest.mark.parametrize("phase", PHASE_OFFSETS)
@pytest.mark.parametrize("shape", [(6, 8), (7, 9), (6, 9)])
def test_any_phase_becomes_rggb(phase, shape):
    colors = np.array(list(phase)).reshape(2, 2)
    mosaic = np.tile(colors, (6, 6))[: shape[0], : shape[1]]
    rggb = to_rggb(mosaic, phase)
    assert rggb.shape[0] % 2 == rggb.shape[1] % 2 == 0
    assert min(rggb.shape) >= min(shape) - 2
    np.testing.assert_array_equal(rggb[:2, :2], [["R", "G"], ["G", "B"]])


def test_unknown_phase_is_refused():
    with pytest.raises(ValueError, match="RGGB, GRBG"):
        to_rggb(np.zeros((4, 4)), "XTRANS")
