"""The built wheel, installed and run where no checkout is."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import ispbench
from tests.conftest import REPOSITORY, TINY_METAISP, TINY_RUN


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), str(REPOSITORY)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    (path,) = target.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The wheel unpacked as an installer would, before the checkout's editable install on the path."""
    target = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def run(installed, folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "ispbench", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )


def test_it_holds_every_configuration_and_every_baseline(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for path in (REPOSITORY / "conf").rglob("*.y*ml"):
        if "local" not in path.parts:
            assert f"ispbench/conf/{path.relative_to(REPOSITORY / 'conf').as_posix()}" in names
    for path in (REPOSITORY / "baselines").rglob("*"):
        if path.suffix in (".py", ".md"):
            assert f"ispbench/baselines/{path.relative_to(REPOSITORY / 'baselines').as_posix()}" in names


def test_it_holds_the_page_of_the_report(wheel):
    parts = {path.name for path in (REPOSITORY / "src" / "ispbench" / "report" / "page").iterdir()}
    assert {"page.html", "style.css", "main.js"} <= parts
    with zipfile.ZipFile(wheel) as archive:
        assert {f"ispbench/report/page/{name}" for name in parts} <= set(archive.namelist())


def test_it_holds_trained_weights(wheel):
    assert ispbench.list_weights()
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {f"ispbench/pretrained/{model}/{name}.ckpt" for model, name in ispbench.list_weights()} <= names


def test_it_has_the_version_and_says_that_it_is_typed(wheel):
    with zipfile.ZipFile(wheel) as archive:
        assert "ispbench/py.typed" in archive.namelist()
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        assert f"\nVersion: {ispbench.__version__}\n" in archive.read(metadata).decode()


def test_it_answers_in_an_empty_folder(installed, tmp_path):
    done = run(installed, tmp_path, "--help")
    assert done.returncode == 0, done.stderr
    assert "metaisp" in done.stdout
    where = subprocess.run(
        [sys.executable, "-c", "import ispbench.conf; print(ispbench.__file__)"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(where.stdout.strip()).is_relative_to(installed)


def test_it_trains_in_an_empty_folder(installed, tmp_path):
    done = run(installed, tmp_path, *TINY_METAISP, *TINY_RUN)
    assert done.returncode == 0, done.stderr
    for kind in ("trainings", "evaluations"):
        assert len(list((tmp_path / "results" / kind).glob("*.json"))) == 1
