"""Settings of every launcher; tests/test_grid.py runs grids through them."""

import os

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

PLUGINS = {
    "joblib": "hydra_plugins.hydra_joblib_launcher",
    "submitit_local": "hydra_plugins.hydra_submitit_launcher",
    "submitit_slurm": "hydra_plugins.hydra_submitit_launcher",
    "ray": "hydra_plugins.hydra_ray_launcher",
}


def launcher(name, *overrides):
    """The launcher's settings, which Hydra checks against the plugin's schema."""
    with initialize_config_module("ispbench.conf", version_base="1.3"):
        config = compose("config", overrides=[f"launcher={name}", *overrides], return_hydra_config=True)
    return OmegaConf.to_container(config.hydra.launcher)


@pytest.mark.parametrize("name", PLUGINS)
def test_settings_fit_the_plugin(name):
    pytest.importorskip(PLUGINS[name])
    assert launcher(name)["_target_"].startswith(PLUGINS[name])


def test_slurm_gets_one_gpu_a_cell_and_queues_it_again(tmp_path, monkeypatch):
    submitit = pytest.importorskip("submitit")
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.parent.mkdir()
    sbatch.write_text("#!/bin/sh\necho Submitted batch job 12\n")
    sbatch.chmod(0o755)
    for name in ("srun", "squeue", "sacct"):
        (tmp_path / "bin" / name).symlink_to(sbatch)
    monkeypatch.setenv("PATH", str(sbatch.parent), prepend=os.pathsep)

    settings = launcher("submitit_slurm", "hydra.launcher.partition=gpu", "hydra.launcher.setup=[module load cuda]")
    for key in ("_target_", "submitit_folder", "name"):
        settings.pop(key)
    general = {"timeout_min", "cpus_per_task", "gpus_per_node", "tasks_per_node", "mem_gb", "nodes", "stderr_to_stdout"}
    executor = submitit.AutoExecutor(tmp_path / "jobs", "slurm", slurm_max_num_timeout=settings.pop("max_num_timeout"))
    executor.update_parameters(**{key if key in general else f"slurm_{key}": settings[key] for key in settings})
    job = executor.submit(print)
    script = job.paths.submission_file.read_text()
    for line in ("gpus-per-node=1", "cpus-per-task=8", "mem=32GB", "requeue", "signal=USR2@180", "partition=gpu"):
        assert f"#SBATCH --{line}\n" in script
    assert "\nmodule load cuda\n" in script
