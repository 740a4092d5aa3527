import os
import subprocess
import sys

import pytest
import torch

from ispbench.metrics.collection import ImageScores
from tests.conftest import REPOSITORY


def test_rows_are_collected_once_and_in_order():
    collected = ImageScores()
    collected.update(torch.tensor([3, 0]), torch.tensor([[3.0, 1], [0, 1]]))
    collected.update(torch.tensor([1, 3]), torch.tensor([[1.0, 1], [9, 9]]))
    indices, rows = collected.compute()
    assert indices.tolist() == [0, 1, 3]
    assert rows[:, 0].tolist() == [0, 1, 3]


@pytest.mark.parametrize("count", [1, 5])
def test_shapes_do_not_depend_on_the_number_of_images(count):
    collected = ImageScores()
    collected.update(torch.arange(count), torch.rand(count, 1))
    indices, rows = collected.compute()
    assert indices.shape == (count,)
    assert rows.shape == (count, 1)


def test_two_processes_find_what_one_finds_bit_by_bit(tmp_path):
    """Although seven images do not divide among them."""
    found = []
    for processes in (1, 2):
        path = tmp_path / f"{processes}.pt"
        done = subprocess.run(
            [sys.executable, "-m", "tests.metrics.ddp_run", str(processes), str(path)],
            cwd=REPOSITORY,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        found.append(torch.load(path, weights_only=True))
    one, two = found
    assert [one["processes"], two["processes"]] == [1, 2]
    assert one["indices"] == two["indices"] == list(range(7))
    assert one["rows"].shape == (7, 4)
    assert torch.equal(one["rows"], two["rows"])
