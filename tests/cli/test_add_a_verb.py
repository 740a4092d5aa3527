"""docs/add_a_verb.md, done to the letter in a copy of the package."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY
from tests.docs import DOCS, commands, save_files

PAGE = DOCS / "add_a_verb.md"


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A checkout with one file more."""
    root = tmp_path_factory.mktemp("checkout")
    shutil.copytree(REPOSITORY / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("conf", "baselines"):
        (root / name).symlink_to(REPOSITORY / name)
    save_files(PAGE, root)
    return root


def run(copy, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "ispbench", *arguments],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy / "src")},
        capture_output=True,
        text=True,
    )


def test_one_file_makes_a_verb(copy):
    first, second = (run(copy, *words) for words in commands(PAGE) if words[0] == "levels" and "--help" not in words)
    assert first.stdout == "R: 63 to 1020 DN\nGr: 63 to 1020 DN\n", first.stderr
    assert "# R: 63 to 1020 DN" in PAGE.read_text()
    assert second.stdout == "R: 0.062 to 1.000 share\n", second.stderr


def test_it_is_in_the_help(copy):
    assert "  levels           print the sensor levels of a dataset\n" in run(copy, "--help").stdout
    shown = run(copy, "levels", "--help").stdout
    assert shown.startswith("Usage: ispbench levels PLANE... [SETTING=VALUE ...] [KEY=VALUE ...]\n")
    for line in (
        "  digits=N       digits after the point (default: 0)",
        "  unit=DN|share  of the levels (default: DN)",
    ):
        assert line in shown.splitlines()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["level"], "Unknown verb 'level'. Did you mean 'levels'?"),
        (["levels"], "Say PLANE: planes of the RAW to name"),
        (["levels", "R", "digit=1"], "Unknown setting 'digit' of ispbench levels. Did you mean 'digits'?"),
        (["levels", "R", "unit=dn"], "unit is one of DN, share, not 'dn'."),
        (["levels", "R", "data=folder"], "data.black_level, data.white_level have no default"),
    ],
)
def test_its_mistakes_are_one_sentence(copy, arguments, message):
    done = run(copy, *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(f"ispbench: {message}")
    assert done.stderr.count("\n") == 1
