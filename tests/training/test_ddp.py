"""Two processes train and test like one."""

import pytest

from ispbench.results import store
from tests.conftest import TINY_METAISP, TINY_RUN, ispbench

RUN = [*TINY_METAISP, *TINY_RUN, "trainer.max_steps=6", "metrics.scores=[psnr,ssim,ciede2000]", "metrics.latency=null"]
TWO = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.precision=32-true"]


def record(folder):
    """The evaluation, with the section of its training."""
    (row,) = store.load(folder / "results")
    return row


def test_the_scores_are_those_of_one_process(tmp_path):
    found = []
    for name, more in (("one", []), ("two", TWO)):
        folder = tmp_path / name
        folder.mkdir()
        done = ispbench(*RUN, *more, cwd=folder, PL_TORCH_DISTRIBUTED_BACKEND="gloo")
        assert done.returncode == 0, done.stderr
        found.append(record(folder))
    one, two = found
    assert one["training"]["steps"] == two["training"]["steps"] == 6
    assert two["training"]["val_psnr"] == pytest.approx(one["training"]["val_psnr"], abs=1e-3)
    for name in ("psnr", "ssim", "ciede2000"):
        assert two["metrics"][name] == pytest.approx(one["metrics"][name], abs=1e-3), name
    assert len(list((tmp_path / "two" / "outputs").glob("*/*/checkpoints/best.ckpt"))) == 1
