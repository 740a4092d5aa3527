import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = REPOSITORY.parent / "shared"

# A run of seconds: small photographs, a narrow network, two steps.
TINY_DATA = [
    "data=mini",
    "data.num_train=8",
    "data.leaves=2",
    "data.megapixels=0.004",
    "data.crop=32",
    "data.batch_size=2",
    "trainer.val_check_interval=2",
]
TINY_LATENCY = ["metrics.latency.repetitions=3", "metrics.latency.height=32", "metrics.latency.width=32"]
TINY_TRAINING = ["trainer=cpu", "trainer.max_steps=2", "logger=csv", *TINY_LATENCY]
TINY_RUN = [*TINY_DATA, *TINY_TRAINING]
TINY_QUALITY = [*TINY_DATA, "trainer=cpu", "trainer.max_steps=2", "logger=csv", "metrics=quality"]
TINY_METAISP = ["model=metaisp", "model.width=8", "model.basis_dim=8", "model.num_bases=2"]


# Files that take minutes: first, so that no worker is left alone with one at the end.
SLOW = (
    "test_grid.py",
    "test_add_a_model.py",
    "test_evaluate.py",
    "test_main.py",
    "test_add_a_metric.py",
    "test_notebooks.py",
)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: SLOW.index(item.path.name) if item.path.name in SLOW else len(SLOW))


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """Keeps generated data of the tests out of the user's cache."""
    os.environ["ISPBENCH_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    os.environ["WANDB_MODE"] = "offline"
    return Path(os.environ["ISPBENCH_CACHE"])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def shared():
    """The project's reference data, which users do not have."""
    if not SHARED.is_dir():
        pytest.skip("the reference data beside the checkout is not here")
    return SHARED


def ispbench(*arguments, cwd, timeout=300, **environment):
    """Runs the command line as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "ispbench", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def ispbench_here(*arguments, cwd, **environment):
    """The command line in this process: far faster, where no signal, no import and no terminal is what is tested."""
    from ispbench.cli.main import main

    words, status = ["ispbench", *map(str, arguments)], 0
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(cwd),
        mock.patch.object(sys, "argv", words),
        mock.patch.dict(os.environ, environment),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as stop:
            status = stop.code or 0
    return subprocess.CompletedProcess(words, status, out.getvalue(), err.getvalue())
