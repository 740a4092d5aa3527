"""Two processes find what one finds, although seven images do not divide among them."""

import json
import os
import subprocess
import sys

from tests.conftest import REPOSITORY


def run(processes, path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.evaluation.two_processes", str(processes), str(path)],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads((path.parent / f"{path.name}.{rank}").read_text()) for rank in range(processes)]


def test_the_numbers_are_the_same_bit_by_bit(tmp_path):
    (one,), two = run(1, tmp_path / "one"), run(2, tmp_path / "two")
    assert len(one["scores"]["image"]) == 7
    assert two == [one, one], "and each process has them all"
