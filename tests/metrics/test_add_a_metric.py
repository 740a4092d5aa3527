"""What docs/add_a_metric.md says runs, in a folder without the repository."""

import subprocess
import sys

import pytest
import torch
import yaml

from ispbench.metrics.table import choose
from tests.docs import code_blocks, save_files

PAGE = "add_a_metric.md"


@pytest.fixture
def folder(tmp_path):
    save_files(PAGE, tmp_path)
    return tmp_path


def test_the_python_of_the_page_runs(folder):
    [script] = [block.text for block in code_blocks(PAGE) if block.language == "python" and not block.file]
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert all(f"'{name}': " in done.stdout for name in ("psnr", "mae", "sharpness"))
    assert "nan" not in done.stdout


def test_the_configuration_of_the_page_and_its_metrics(folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    [text] = [block.text for block in code_blocks(PAGE) if block.language == "yaml"]
    metrics = choose([], yaml.safe_load(text)["metrics"]["extra"])
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
