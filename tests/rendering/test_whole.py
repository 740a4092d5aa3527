import errno
import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ispbench.errors import UserError
from ispbench.rendering import whole
from ispbench.rendering.demand import demand_of
from ispbench.rendering.scratch import Scratch
from ispbench.rendering.whole import render


class Bilinear(torch.nn.Module):
    """Looks at the whole image: a tile of it would be brighter or darker."""

    def forward(self, raw):
        image = F.pixel_shuffle(raw, 2).repeat(1, 3, 1, 1)
        return (image / image.amax((2, 3), keepdim=True)).clamp(0, 1)


class Lonely(torch.nn.Module):
    """Leaves PyTorch on its way."""

    def forward(self, raw):
        return torch.from_numpy(F.pixel_shuffle(raw, 2).repeat(1, 3, 1, 1).numpy() * np.float32(0.5))


@pytest.fixture
def raw(rng):
    raw = rng.random((4, 45, 71), np.float32) * 0.4
    raw[:, 20, 30] = 0.8
    return raw


@pytest.mark.parametrize("memory", [0, 2**30])
@pytest.mark.parametrize("bits", [8, 16])
def test_memory_decides_how_and_not_what(raw, tmp_path, monkeypatch, memory, bits):
    monkeypatch.setattr(whole, "_LEAST", 2**12)
    shares = []
    image = render(Bilinear(), raw, tmp_path / "scratch", bits, memory, shares.append)
    expected = F.pixel_shuffle(torch.from_numpy(raw), 2)[0].numpy() / raw.max() * (2**bits - 1)
    assert image.dtype == (np.uint8 if bits == 8 else np.uint16)
    np.testing.assert_array_equal(image, np.rint(expected)[..., None].repeat(3, axis=2))
    assert sum(shares) == pytest.approx(1)
    assert (tmp_path / "scratch").exists() == (memory == 0)
    assert not list(tmp_path.glob("scratch/*"))


def test_a_model_that_leaves_pytorch_renders_too(raw, tmp_path):
    assert demand_of(Lonely(), 45, 71) is None
    image = render(Lonely(), raw, tmp_path)
    np.testing.assert_array_equal(image[::2, ::2, 0], np.rint(raw[0] * 127.5))


def test_the_demand_is_that_of_the_tensors_alive():
    class Steps(torch.nn.Module):
        def forward(self, raw):  # an input of 4 units, 6 operations
            first = raw * 2  # 4 new
            second = torch.cat((first, first), 1)  # 8 new, 12 in all
            del first
            view = second.view(-1)
            del second
            return (view + 1).sum() * view[:1]  # 8 beside 8, then next to nothing

    demand = demand_of(Steps(), 100, 50)
    unit = 100 * 50 * 4
    assert demand.largest == 8 * unit
    assert demand.peak == pytest.approx(16 * unit, abs=100)
    assert demand.work == pytest.approx((4 + 8 + 8) * unit, abs=100)


def test_memory_and_nan_are_explained(tmp_path):
    class Hungry(torch.nn.Module):
        def forward(self, raw):
            if raw.device.type == "meta":
                return raw
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate")

    class Broken(torch.nn.Module):
        def forward(self, raw):
            return torch.full((1, 3, 32, 32), torch.nan)

    raw = np.zeros((4, 16, 16), np.float32)
    with pytest.raises(UserError, match="device=cpu"):
        render(Hungry(), raw, tmp_path)
    with pytest.raises(UserError, match="NaN"):
        render(Broken(), raw, tmp_path)


def test_a_full_disk_is_a_sentence(raw, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(whole, "_LEAST", 2**12)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(UserError, match=r"scratch space in .*No space left.*paths\.cache"):
        render(Bilinear(), raw, tmp_path, memory=0)


def test_a_small_disk_is_told_before_the_work(raw, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=1000))
    shares = []
    with pytest.raises(UserError, match=r"0\.0 GiB of scratch space in .*none/yet, which has 0\.0 GiB left"):
        render(Bilinear(), raw, tmp_path / "none" / "yet", memory=0, advance=shares.append)
    assert not shares


def test_scratch_space_vanishes_with_its_tensors(tmp_path):
    scratch = Scratch(tmp_path, least=100)
    large, small = scratch.empty((5, 5), torch.float32), scratch.empty((4, 6), torch.float32)
    large.fill_(3)
    scratch.touch(2**40)  # gives the memory back, and keeps the values
    assert (large == 3).all()
    assert len(scratch._maps) == 1
    assert small.numel() == 24
    del large
    assert not len(scratch._maps)
    assert not list(tmp_path.iterdir())
