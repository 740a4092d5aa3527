"""Processes that are stopped anywhere between their start and their end: the same command ends with the same scores."""

import json
import signal

import pytest

from tests.conftest import TINY_METAISP, TINY_QUALITY
from tests.faults.disturb import disturb
from tests.faults.harness import Program, some

RUN = [*TINY_METAISP, *TINY_QUALITY, "trainer.max_steps=5", "callbacks=ema", "metrics.latency=null"]
RUN += ["metrics.complexity=null", "eval.checkpoint=best"]

HOOK = "pytorch_lightning.trainer.call:_call_callback_hooks"
PLACES = {
    "the imports": ("ispbench.config:require_values::1",),
    "the preparation of the data": ("ispbench.training.fit:load_data::1",),
    "the simulation": tuple(f"ispbench.raw.simulate:simulate::{time}" for time in (1, 3, 9, 20)),
    "the making of the model": ("ispbench.training.fit:_Fit._build::1",),
    "the start of the training": (f"{HOOK}:on_train_start:1",),
    "an epoch": (f"{HOOK}:on_train_epoch_start:2", f"{HOOK}:on_train_epoch_end:1"),
    "a batch": (f"{HOOK}:on_train_batch_start:4", f"{HOOK}:on_train_batch_end:3"),
    "an optimizer step": (f"{HOOK}:on_before_optimizer_step:2", f"{HOOK}:on_after_backward:5"),
    "a validation": tuple(
        f"{HOOK}:on_validation_{place}:{time}"
        for place, time in (("start", 1), ("batch_start", 1), ("batch_end", 2), ("epoch_end", 2), ("end", 1))
    ),
    "a checkpoint's writing": tuple(f"ispbench.training.checkpoint_io:write::{time}" for time in (1, 2, 4)),
    "a file's writing": tuple(f"os:replace::{time}" for time in range(1, 12)),
    "the end of the training": (f"{HOOK}:on_train_end:1", "ispbench.training.fit:draw_curves::1"),
    "the test": tuple(f"ispbench.evaluation.evaluate:score_images::{time}" for time in (1, 2)),
    "the recording": tuple(f"ispbench.results.store:save::{time}" for time in (1, 2, 3)),
}
MOMENTS = [(what, moment) for what, moments in PLACES.items() for moment in moments]


def scores(folder):
    (path,) = (folder / "results" / "evaluations").glob("*.scores.csv")
    (record,) = (folder / "results" / "evaluations").glob("*.json")
    (training,) = (folder / "results" / "trainings").glob("*.json")
    evaluation, training = (json.loads(path.read_text()) for path in (record, training))
    assert training["status"] == evaluation["status"] == "finished"
    return path.read_bytes(), evaluation["metrics"], evaluation["checkpoint"], training["training"]["val_psnr"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    ended = Program(*RUN, cwd=folder).wait()
    assert not ended.status, ended
    return scores(folder)


@pytest.mark.parametrize(
    "what, moment, number",
    some(
        [
            (what, moment, number)
            for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
            for what, moment in MOMENTS
        ],
        3,
    ),
)
def test_the_same_command_ends_with_the_same_scores(what, moment, number, undisturbed, tmp_path, attempt):
    stopped = Program(*RUN, cwd=tmp_path, arrange=disturb, DISTURB=f"{moment}:{int(number)}").wait()
    status, says = {
        signal.SIGKILL: (-9, ""),
        signal.SIGTERM: (143, "Ended by SIGTERM. The same command goes on"),
        signal.SIGINT: (130, "Interrupted. The same command goes on"),
    }[number]
    attempt.judge(f"{number.name} in {what}", stopped, status, says, "the same scores")
    again = Program(*RUN, cwd=tmp_path).wait()
    assert not again.status, again
    assert scores(tmp_path) == undisturbed
    left = {path.name for path in tmp_path.rglob(".*")} - {".hydra"}
    assert not left or number == signal.SIGKILL, f"left behind: {left}"
