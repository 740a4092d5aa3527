"""What docs/add_a_metric.md says, done in an empty folder."""

import json
import subprocess
import sys

import pytest
import torch

from ispbench.metrics.table import choose
from tests.conftest import TINY_METAISP, TINY_RUN, ispbench
from tests.docs import DOCS, commands, save_files

PAGE = DOCS / "add_a_metric.md"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    save_files(PAGE, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_the_commands_of_the_page_measure_both(folder):
    train, evaluate = commands(PAGE)
    done = ispbench(*train, *TINY_RUN, *TINY_METAISP, "metrics.scores=[psnr]", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert measured(folder) == [{"psnr", "mae", "sharpness", "nonfinite"}]
    [run] = (folder / "outputs").glob("*/*-metaisp-*")
    evaluate = [word.replace("RUN", str(run.relative_to(folder))) for word in evaluate]
    done = ispbench(*evaluate, "metrics.extra.sharpness=null", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert {"psnr", "mae", "nonfinite"} in measured(folder)


def measured(folder):
    records = (folder / "results" / "evaluations").glob("*.json")
    return [set(json.loads(record.read_text())["metrics"]) for record in records]


def test_the_script_of_the_page_scores_images(folder):
    done = subprocess.run([sys.executable, "scored.py"], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert all(f"'{name}': " in done.stdout for name in ("psnr", "mae", "sharpness"))
    assert "nan" not in done.stdout


def test_the_functions_of_the_page_do_what_they_say(folder):
    extra = {"mae": {"_target_": "my_metrics.MAE"}, "sharpness": {"_target_": "my_metrics.SHARPNESS", "step": 2}}
    metrics = choose([], extra)
    images, references = torch.rand(2, 2, 3, 8, 9)
    mask = (torch.rand(2, 1, 8, 9) < 0.5).float()
    error = 255 * (images - references).abs()
    found = metrics["mae"].score(metrics["mae"].load(), images, references)
    torch.testing.assert_close(found, error.mean((1, 2, 3)))
    found = metrics["mae"].score(metrics["mae"].load(), images, references, mask)
    wanted = [error[i].permute(1, 2, 0)[mask[i, 0] == 1].mean() for i in range(2)]
    torch.testing.assert_close(found, torch.stack(wanted))
    found = metrics["sharpness"].score(metrics["sharpness"].load(), images, references)
    torch.testing.assert_close(found, 255 * (images[..., 2:] - images[..., :-2]).abs().mean((1, 2, 3)))
