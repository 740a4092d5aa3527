"""Grids through every launcher, as a user starts them."""

import json
from unittest import mock

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from tests.conftest import TINY_METAISP, TINY_RUN, ispbench

PLUGINS = {
    "joblib": "hydra_plugins.hydra_joblib_launcher",
    "submitit_local": "hydra_plugins.hydra_submitit_launcher",
    "submitit_slurm": "hydra_plugins.hydra_submitit_launcher",
    "ray": "hydra_plugins.hydra_ray_launcher",
}
GRID = [*TINY_METAISP[:-1], "model.num_bases=1,2", *TINY_RUN]


def launcher(name, *overrides):
    """The launcher's settings, which Hydra checks against the plugin's schema."""
    with initialize_config_module("ispbench.conf", version_base="1.3"):
        config = compose("config", overrides=[f"launcher={name}", *overrides], return_hydra_config=True)
    return OmegaConf.to_container(config.hydra.launcher)


@pytest.mark.parametrize("name", PLUGINS)
def test_settings_fit_the_plugin(name):
    pytest.importorskip(PLUGINS[name])
    assert launcher(name)["_target_"].startswith(PLUGINS[name])


@pytest.mark.parametrize("name", ["joblib", "submitit_local", "ray"])
def test_a_grid_ends_with_a_record_of_every_cell(name, tmp_path):
    pytest.importorskip(PLUGINS[name])
    done = ispbench("-m", f"launcher={name}", *GRID, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    records = [json.loads(path.read_text()) for path in (tmp_path / "results" / "runs").glob("*.json")]
    assert sorted(record["config"]["model"]["num_bases"] for record in records) == [1, 2]
    assert {record["status"] for record in records} == {"finished"}
    assert len({record["config_hash"] for record in records}) == 2


def test_slurm_gets_one_gpu_a_cell_and_queues_it_again(tmp_path):
    submitit = pytest.importorskip("submitit")
    from submitit.slurm.slurm import SlurmExecutor

    settings = launcher("submitit_slurm", "hydra.launcher.partition=gpu", "hydra.launcher.setup=[module load cuda]")
    for key in ("_target_", "submitit_folder", "name"):
        settings.pop(key)
    general = {"timeout_min", "cpus_per_task", "gpus_per_node", "tasks_per_node", "mem_gb", "nodes", "stderr_to_stdout"}
    with mock.patch.object(SlurmExecutor, "affinity", return_value=1):
        executor = submitit.AutoExecutor(tmp_path, "slurm", slurm_max_num_timeout=settings.pop("max_num_timeout"))
    executor.update_parameters(**{key if key in general else f"slurm_{key}": settings[key] for key in settings})
    script = executor._executor._make_submission_file_text("python", "uid")
    for line in ("gpus-per-node=1", "cpus-per-task=8", "mem=32GB", "requeue", "signal=USR2@180", "partition=gpu"):
        assert f"#SBATCH --{line}\n" in script
    assert "\nmodule load cuda\n" in script
