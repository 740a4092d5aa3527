"""What decides the numbers of a training is in its key, and its record says what was really used."""

import json
import shutil

import pytest
import torch

from ispbench.checkpoint_files import read
from ispbench.config import compose_run
from ispbench.training import fit
from tests.conftest import TINY_METAISP, TINY_QUALITY
from tests.faults import fuzz
from tests.faults.harness import FULL, Program, some

FAST = ["metrics.latency=null", "metrics.complexity=null"]
RUN = [*TINY_METAISP, *TINY_QUALITY, *FAST]
DECIDE = [
    "optimizer.lr=1e-3",
    "optimizer.betas=[0.8,0.99]",
    "optimizer.weight_decay=0.1",
    "optimizer=adamw",
    "optimizer=sgd",
    "scheduler=constant",
    "scheduler.lr_min=1e-6",
    "scheduler.warmup_t=3",
    "seed=1",
    "data.crop=16",
    "data.batch_size=4",
    "data.augment=false",
    "data.num_train=9",
    "data.data_seed=5",
    "data.track=many-cameras",
    "data.on_error=skip",
    "trainer.max_steps=3",
    "trainer.val_check_interval=1",
    "trainer.gradient_clip_val=null",
    "trainer.gradient_clip_val=0.5",
    "trainer.precision=bf16-mixed",
    "trainer.deterministic=false",
    "trainer.limit_train_batches=1",
    "trainer.limit_val_batches=1",
    "loss.weights.l1=2",
    "loss=mse",
    "loss=l1_ssim",
    "model.num_bases=3",
    "model.width=16",
    "model.placement=none",
    "callbacks=ema",
    "callbacks.checkpoints.mode=min",
    "callbacks.checkpoints.monitor=val/ssim",
    "compile=true",
]
DO_NOT = [
    "num_workers=1",
    "paths.outputs=elsewhere",
    "paths.results=elsewhere",
    "logger=none",
    "callbacks=none",
    "callbacks.images=null",
    "callbacks.images.images=2",
    "trainer.log_every_n_steps=1",
    "trainer.enable_model_summary=true",
    "trainer.accumulate_grad_batches=2",
    "trainer.devices=1",
    "trainer.accelerator=auto",
    "trainer.benchmark=true",
    "+trainer.profiler=simple",
    "trainer.limit_test_batches=1",
    "data.eval_batch_size=2",
    "metrics=default",
    "protocol=aligned-gt-output",
    "eval.checkpoint=best",
    "eval.split=val",
    "eval.precision=bf16-mixed",
    "overwrite=always",
    "test=false",
    "resume=never",
]


def key(*overrides):
    config = compose_run([*RUN, "paths.run=run", *overrides])
    return fit.plan(config, fit.load_data(config)).key


@pytest.fixture(scope="module")
def plain():
    return key()


@pytest.mark.parametrize("override", some(DECIDE, 3))
def test_what_decides_the_numbers_makes_another_key(override, plain, attempt):
    assert key(override) != plain
    attempt.note("a setting that decides the numbers", "another key")


@pytest.mark.parametrize("override", some(DO_NOT, 2))
def test_what_does_not_keeps_the_key(override, plain, attempt):
    assert key(override) == plain
    attempt.note("a setting that decides nothing", "the same key")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """The folder of a training that others may go on from."""
    folder = tmp_path_factory.mktemp("foreign")
    ended = Program(*RUN, cwd=folder).wait()
    assert not ended.status, ended
    (run,) = (folder / "outputs").glob("2*/*")
    return run


def training(folder):
    (record,) = (folder / "results" / "trainings").glob("*.json")
    return json.loads(record.read_text())


def test_a_training_that_goes_on_from_another_is_another(foreign, plain, tmp_path, attempt):
    moved = tmp_path / "moved"
    shutil.copytree(foreign, moved)
    resumed = key(f"resume={foreign}")
    assert resumed != plain
    assert key(f"resume={moved}") == resumed == key(f"resume={moved / 'checkpoints' / 'last.ckpt'}")
    content = read(moved / "checkpoints" / "last.ckpt").content
    torch.save({**content, "epoch": 7}, moved / "checkpoints" / "last.ckpt")
    assert key(f"resume={moved}") != resumed
    attempt.note("a foreign checkpoint, by folder, by file and with another content", "keys by content", 4)


def test_with_and_without_a_foreign_start(foreign, tmp_path, attempt):
    more = [*RUN, "trainer.max_steps=4"]
    said = attempt.program("resume=FOREIGN", *more, f"resume={foreign}", cwd=tmp_path)
    assert "the schedule is that of the checkpoint: t_initial=2 instead of 4" in " ".join(said.err.split())
    record = training(tmp_path)
    assert record["training"]["learning_rate"] == 5e-4
    assert record["training"]["resumed"] is True
    assert "t_initial=2 instead of 4" in record["notes"]["resume"]
    again = attempt.program("the same without resume=FOREIGN", *more, cwd=tmp_path)
    assert "finished before" not in again.err
    assert len(list((tmp_path / "results" / "trainings").glob("*.json"))) == 2


@pytest.mark.parametrize(
    "override, says",
    some(
        [
            ("optimizer.lr=0.5", "brings along has lr=0.0005 instead of 0.5"),
            ("optimizer.betas=[0.8,0.99]", "betas=(0.9, 0.999) instead of"),
            ("optimizer.weight_decay=0.1", "weight_decay=0"),
            ("optimizer=sgd", "another optimizer"),
        ],
        1,
    ),
)
def test_settings_that_a_foreign_optimizer_overrules_are_refused(override, says, foreign, tmp_path, attempt):
    more = [*RUN, "trainer.max_steps=4", f"resume={foreign}", override]
    with attempt.keeps("a foreign run", foreign):
        attempt.program("resume=FOREIGN with another optimizer", *more, cwd=tmp_path, status=1, says=says)


def test_weights_alone_are_not_resumed(foreign, tmp_path, attempt):
    state = read(foreign / "checkpoints" / "last.ckpt").content["state_dict"]
    bare = {name.removeprefix("model.net."): value for name, value in state.items() if name.startswith("model.net.")}
    for name, content in some([("bare.pth", bare), ("wrapped.pth", {"state_dict": bare})], 1):
        (tmp_path / name).write_bytes(fuzz.zipped(content))
        says = "start a training from its weights with weights=FILE instead of resume=FILE"
        attempt.program("resume= of weights", *RUN, f"resume={name}", cwd=tmp_path, status=1, says=says)
    if FULL:
        attempt.program("weights= of weights", *RUN, "weights=bare.pth", cwd=tmp_path)


def test_a_damaged_last_checkpoint_is_made_again(foreign, tmp_path, attempt):
    first = attempt.program("a run", *RUN, "trainer.max_steps=4", "test=false", cwd=tmp_path)
    assert not first.status
    (run,) = (tmp_path / "outputs").glob("2*/*")
    wanted = read(run / "checkpoints" / "last.ckpt").content["state_dict"]
    for damage in some(["cut", "swapped"], 1):
        last = run / "checkpoints" / "last.ckpt"
        content = last.read_bytes()
        last.write_bytes(content[:-9] if damage == "cut" else (run / "checkpoints" / "previous.ckpt").read_bytes())
        ended = attempt.program(f"last.ckpt {damage} before the test", *RUN, "trainer.max_steps=4", cwd=tmp_path)
        assert "gone or damaged; it is trained again" in ended.err
        found = read(last).content["state_dict"]
        assert all(torch.equal(found[name], value) for name, value in wanted.items())
        for path in (tmp_path / "results" / "evaluations").iterdir():
            path.unlink()


@pytest.mark.skipif(not FULL, reason="by `make faults` alone")
def test_the_precision_that_was_used_is_recorded(tmp_path, attempt):
    attempt.program("bf16-mixed on a CPU", *RUN, "trainer.precision=bf16-mixed", "test=false", cwd=tmp_path)
    assert training(tmp_path)["training"]["precision"] == "bf16-mixed"
    attempt.program(
        "16-mixed on a CPU", *RUN, "trainer.precision=16-mixed", cwd=tmp_path, status=1, says="bf16-mixed on a CPU"
    )
