"""Two processes find what one finds, although seven images do not divide among them."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY


def run(processes, path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.metrics.ddp_run", str(processes), str(path)],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PL_TORCH_DISTRIBUTED_BACKEND": "gloo"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(path.read_text().replace("NaN", "null"))


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ddp")
    return [run(processes, folder / f"{processes}.json") for processes in (1, 2)]


def test_there_were_two_processes(found):
    assert [run["processes"] for run in found] == [1, 2]


def test_the_numbers_are_the_same_bit_by_bit(found):
    one, two = found
    assert len(one["scores"]["image"]) == 7
    assert two["scores"] == one["scores"]
    assert two["results"] == one["results"]
    assert two["validated"] == one["validated"]
