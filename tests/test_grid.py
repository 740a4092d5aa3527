"""A grid of parallel workers with a cell that fails and one that is killed, and what a second start does."""

import json
import os

import pytest

from ispbench.cli.main import main
from tests.conftest import TINY_RUN, ispbench

GRID = [
    "ablation=bases",
    "model.width=8",
    "model.basis_dim=8",
    *TINY_RUN,
    "metrics.scores=[psnr,ssim]",
]
GRID += ["metrics.complexity=null", "metrics.latency=null", "trainer.max_steps=4", "seed=0"]
BASES = (0, 1, 5)  # numbers of bases; a block of none is a mistake: that cell fails
# In every Python process of the grid: the cell of 5 bases kills its process at step 3, once.
KILLER = """
import os, signal, sys
from pathlib import Path

if not any("resource_tracker" in word for word in sys.argv):
    from ispbench.training.module import ISPModule

    step = ISPModule.training_step

    def killing_step(self, batch, batch_idx):
        once = Path(os.environ["KILL_ONCE"])
        if self.global_step == 3 and self.trainer.datamodule is not None and once.exists():
            sizes = {tuple(value.shape) for name, value in self.model.named_parameters() if "bas" in name}
            if any(5 in size for size in sizes):
                once.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
        return step(self, batch, batch_idx)

    ISPModule.training_step = killing_step
"""


def records(folder):
    found = [json.loads(path.read_text()) for path in (folder / "results" / "trainings").glob("*.json")]
    return {record["config"]["model"]["num_bases"]: record for record in found}


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local", "ray"])
def test_a_grid_survives_and_goes_on(launcher, tmp_path):
    pytest.importorskip(f"hydra_plugins.hydra_{launcher.removesuffix('_local')}_launcher")
    (tmp_path / "sitecustomize.py").write_text(KILLER)
    once = tmp_path / "once"
    once.touch()
    environment = {"PYTHONPATH": os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))}
    environment |= {"KILL_ONCE": str(once)}
    grid = [*GRID, f"launcher={launcher}", f"model.num_bases={','.join(map(str, BASES))}"]

    done = ispbench(*grid, cwd=tmp_path, timeout=600, **environment)
    assert done.returncode == 1
    assert "A worker process of the grid died" in done.stderr
    assert not once.exists()
    first = records(tmp_path)
    assert first[5]["status"] == "running"
    assert first[0]["status"] == "failed"
    assert "num_bases" in first[0]["error"]

    done = ispbench(*grid, cwd=tmp_path, timeout=600, **environment)
    assert done.returncode == 1
    assert "of the grid failed" in done.stderr
    second = records(tmp_path)
    assert {number: record["status"] for number, record in second.items()} == {
        number: "finished" if number else "failed" for number in BASES
    }
    assert second[5]["training"]["resumed"] is True
    assert second[5]["id"] == first[5]["id"]
    for number, record in first.items():
        if record["status"] == "finished":
            assert second[number] == record, "a finished cell is left alone"


def test_a_third_start_has_nothing_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    one = [*GRID, "model.num_bases=1", "model.placement=none"]
    for _ in range(2):
        monkeypatch.setattr("sys.argv", ["ispbench", *one])
        with pytest.raises(SystemExit) as stop:
            main()
        assert not stop.value.code
    assert "finished before" in capsys.readouterr().err
    assert len(records(tmp_path)) == 1
