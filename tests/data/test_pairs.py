import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ispbench.data.pairs import PairDataset, PairSource, random_crop, random_flip
from ispbench.data.sampler import TrainingSampler

half_sides = st.integers(2, 8)


def labeled(height, width):
    """A mosaic whose values tell the CFA color, and a target that tells each pixel's place."""
    cell = np.array([[0, 1], [2, 3]])
    mosaic = np.tile(cell, (height // 2, width // 2)).astype(np.uint16)
    rows, columns = np.mgrid[:height, :width]
    target = np.stack([rows, columns, mosaic], axis=-1).astype(np.uint8)
    return mosaic, target


@given(half_sides, half_sides, st.integers(0, 100))
def test_turns_keep_the_cfa_phase_and_the_pair_together(height, width, seed):
    mosaic, target = random_flip(*labeled(2 * height, 2 * width), np.random.default_rng(seed))
    assert (mosaic[0::2, 0::2] == 0).all()
    assert (mosaic[1::2, 1::2] == 3).all()
    assert np.isin(mosaic[0::2, 1::2], (1, 2)).all()
    np.testing.assert_array_equal(mosaic, target[..., 2])


def test_all_eight_turns_occur():
    pair = labeled(8, 8)
    seen = {random_flip(*pair, np.random.default_rng(seed))[1].tobytes() for seed in range(100)}
    assert len(seen) == 8


@given(half_sides, half_sides, half_sides, st.integers(0, 100))
def test_crops_keep_the_cfa_phase_and_the_pair_together(height, width, size, seed):
    mosaic, target = random_crop(*labeled(2 * height, 2 * width), 2 * size, np.random.default_rng(seed))
    assert mosaic.shape == target.shape[:2] == (min(2 * size, 2 * height), min(2 * size, 2 * width))
    assert mosaic[0, 0] == 0
    np.testing.assert_array_equal(mosaic, target[..., 2])


class Source(PairSource):
    names = ("a", "b", "c")
    fingerprint = "f"

    def __len__(self):
        return 3

    def read(self, index):
        rng = np.random.default_rng(index)
        return rng.integers(0, 1024, (32, 32)).astype(np.uint16), rng.integers(0, 256, (32, 32, 3)).astype(np.uint8)


def test_a_sample_depends_on_its_number_alone():
    dataset = PairDataset(Source(), crop=16, augment=True, seed=1)
    first, again, other = dataset[1, 7], dataset[1, 7], dataset[1, 8]
    np.testing.assert_array_equal(first["raw"], again["raw"])
    assert not np.array_equal(first["raw"], other["raw"])
    assert first["raw"].shape == (4, 8, 8)
    assert first["target"].shape == (3, 16, 16)
    assert first["name"] == "b"


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_processes_share_an_epoch(world_size):
    ranks = [list(TrainingSampler(10, 0, rank, world_size)) for rank in range(world_size)]
    indices = [index for samples in ranks for index, _ in samples]
    assert len({len(samples) for samples in ranks}) == 1
    assert len(set(indices)) == len(indices) == 10 // world_size * world_size
    draws = [draw for samples in ranks for _, draw in samples]
    assert len(set(draws)) == len(draws)


def test_an_epoch_has_whole_batches_however_they_are_divided():
    whole = list(TrainingSampler(7, 0, batch_size=2))
    assert whole == list(TrainingSampler(7, 0))[:6]
    ranks = [list(TrainingSampler(7, 0, rank, 2, batch_size=2)) for rank in range(2)]
    assert [sample for pair in zip(*ranks, strict=True) for sample in pair] == whole
    assert len(TrainingSampler(7, 0, batch_size=4)) == 4


def test_epochs_differ_and_repeat():
    sampler = TrainingSampler(10, 0)
    first = list(sampler)
    sampler.set_epoch(1)
    second = list(sampler)
    sampler.set_epoch(0)
    assert first == list(sampler)
    assert first != second
    assert {draw for _, draw in first}.isdisjoint(draw for _, draw in second)
