"""What docs/add_a_model.md says, done in an empty folder and in a copy of the repository."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch

from tests.conftest import REPOSITORY, TINY_QUALITY, ispbench
from tests.docs import DOCS, code_blocks, commands, save_files

PAGE = DOCS / "add_a_model.md"
OUTSIDE, GRID, EVALUATE, _, INSIDE = commands(PAGE)[:5]


def records(folder, kind):
    return [json.loads(path.read_text()) for path in sorted((folder / "results" / kind).glob("*.json"))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A user's own folder, with a training of the model."""
    folder = tmp_path_factory.mktemp("own")
    save_files(PAGE, folder)
    done = ispbench(*OUTSIDE, *TINY_QUALITY, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_model_of_ones_own_is_trained_and_scored(folder):
    (training,), (evaluation,) = records(folder, "trainings"), records(folder, "evaluations")
    assert training["model"] == evaluation["model"] == "tinyisp"
    assert training["status"] == evaluation["status"] == "finished"
    assert evaluation["metrics"]["psnr"] > 0


def test_its_run_is_scored_under_another_protocol(folder):
    (run,) = folder.glob("outputs/2*/*-tinyisp-*")
    done = ispbench(*(word.replace("RUN", str(run)) for word in EVALUATE), cwd=folder)
    assert done.returncode == 0, done.stderr
    (evaluation,) = (found for found in records(folder, "evaluations") if "aligned" in found["protocol"])
    assert evaluation["training_key"] == records(folder, "trainings")[0]["key"]
    assert ispbench("leaderboard", cwd=folder).stdout.count("tinyisp") == 2


def test_its_grid_is_trained_but_for_what_is_done_and_edited_code_is_trained_anew(folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (first,) = records(tmp_path, "trainings")
    done = ispbench(*GRID, *TINY_QUALITY, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(found["config"]["model"]["kernel_size"] for found in records(tmp_path, "trainings")) == [3, 5]
    assert first in records(tmp_path, "trainings")
    code = tmp_path / "tinyisp.py"
    code.write_text(code.read_text().replace("pow(1 / 2.2)", "sqrt()"))
    done = ispbench(*OUTSIDE, *TINY_QUALITY, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(records(tmp_path, "trainings")) == 3


def test_it_becomes_a_baseline_of_the_repository(tmp_path):
    for name in ("src", "conf", "baselines", "tests"):
        shutil.copytree(REPOSITORY / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    save_files(PAGE, tmp_path)
    home = tmp_path / "baselines" / "tinyisp"
    home.mkdir()
    (tmp_path / "tinyisp.py").rename(home / "model.py")
    (home / "__init__.py").write_text('"""TinyISP."""\n')
    (home / "README.md").write_text("# TinyISP (`tinyisp`)\n\n" + 20 * "An example of one convolution. ")
    choice = tmp_path / "conf" / "model" / "tinyisp.yaml"
    choice.write_text(choice.read_text().replace("tinyisp.TinyISP", "ispbench.baselines.tinyisp.model.TinyISP"))
    assert f"`_target_: {choice.read_text().split()[5]}`" in PAGE.read_text()

    def run(*arguments):
        environment = {**os.environ, "PYTHONPATH": str(tmp_path / "src")}
        command = [sys.executable, "-m", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("ispbench", *INSIDE, *TINY_QUALITY)
    assert records(tmp_path, "evaluations")[0]["metrics"]["psnr"] > 0
    tested = run("pytest", "-q", "-p", "no:cacheprovider", "tests/baselines/test_zoo.py", "-k", "tinyisp")
    assert " passed" in tested
    assert "448" in run("ispbench", "models", "tinyisp")


def test_its_weights_load_in_python(folder, monkeypatch):
    (run,) = folder.glob("outputs/2*/*-tinyisp-*")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    names = {}
    block = next(block for block in code_blocks(PAGE) if "load_weights" in block.text)
    exec(block.text.replace("RUN", str(run)), names)
    model = names["model"]
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    torch.testing.assert_close(model.net[0].weight, state["model.net.0.weight"], rtol=0, atol=0)
    assert model.read_options({name: value.shape for name, value in model.net.state_dict().items()}) == {
        "kernel_size": 3
    }
