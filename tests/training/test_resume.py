"""A training that broke off ends with the weights of one that did not."""

import os
import signal
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

from ispbench.checkpoints import newest_checkpoint
from ispbench.errors import UserError
from ispbench.training.callbacks.checkpoints import Checkpoints
from ispbench.training.callbacks.curves import draw_curves, keep_log
from ispbench.training.callbacks.stop import StopBetweenSteps
from ispbench.training.module import ISPModule
from ispbench.training.signals import Terminated, interruption, sigterm_as_exception
from tests.toys import toy_trainer
from tests.training.toy_training import STEPS, data, module, train


class BreakAt(pl.Callback):
    """Ends the training at a step as a killed process does: nothing is saved any more."""

    def __init__(self, step):
        self.step = step

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == self.step:
            raise SystemError("killed")


def kill(folder, step, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "on_exception", lambda *_: None)  # a killed process saves nothing
        assert train(folder, BreakAt(step)) is None


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return train(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("step", [2, 3, 6, 7, 10])
def test_a_killed_training_ends_like_one_that_was_not(whole, step, tmp_path, monkeypatch):
    kill(tmp_path, step, monkeypatch)
    weights, _, keeper = train(tmp_path, resume=newest_checkpoint(tmp_path))
    for name, value in whole[0].items():
        assert torch.equal(weights[name], value), name
    assert keeper.best_model_score == whole[2].best_model_score


def test_without_the_random_state_dropout_makes_other_weights(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(ISPModule, "on_load_checkpoint", lambda *_: None)
    kill(tmp_path, 7, monkeypatch)
    weights, *_ = train(tmp_path, resume=newest_checkpoint(tmp_path))
    assert not torch.equal(weights["net.0.weight"], whole[0]["net.0.weight"])


def test_accumulated_batches_and_more_devices_share_a_batch():
    chosen = data(batch_size=4)
    toy_trainer(3, accumulate_grad_batches=2, use_distributed_sampler=False).fit(module(), datamodule=chosen)
    assert chosen.train_dataloader().batch_size == 2
    chosen = data(batch_size=3)
    with pytest.raises(UserError, match=r"data\.batch_size=3 .* choose a multiple of 2"):
        toy_trainer(3, accumulate_grad_batches=2, use_distributed_sampler=False).fit(module(), datamodule=chosen)


def test_the_newest_whole_checkpoint_is_taken(whole, tmp_path, capsys):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    content = Path(whole[2].last_model_path).read_bytes()
    (folder / "previous.ckpt").write_bytes(content)
    (folder / "last.ckpt").write_bytes(content[: len(content) // 2])
    assert newest_checkpoint(tmp_path).path == folder / "previous.ckpt"
    assert "last.ckpt" in capsys.readouterr().err
    (folder / "previous.ckpt").write_bytes(b"")
    assert newest_checkpoint(tmp_path, required=False) is None
    with pytest.raises(UserError, match="no whole checkpoint"):
        newest_checkpoint(tmp_path)


def test_the_last_checkpoint_but_one_is_kept(tmp_path):
    train(tmp_path)
    steps = {
        name: torch.load(tmp_path / "checkpoints" / f"{name}.ckpt", weights_only=False)["global_step"]
        for name in ("last", "previous")
    }
    assert steps == {"previous": STEPS - 1, "last": STEPS}


def test_sigterm_stops_between_steps(tmp_path):
    class Send(pl.Callback):
        def on_train_batch_end(self, trainer, *_):
            if trainer.global_step == 3:
                os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stop:
        train(tmp_path, StopBetweenSteps(), Send())
    assert isinstance(interruption(stop.value), Terminated)
    assert torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=False)["global_step"] == 3
    assert signal.getsignal(signal.SIGTERM) == before
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_sigterm_outside_of_a_training():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated), sigterm_as_exception():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


def test_curves_go_on_where_they_stopped(tmp_path):
    (tmp_path / "metrics.csv").write_text("step,train/loss\n0,3\n1,2\n")
    keep_log(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["metrics-1.csv"]
    (tmp_path / "metrics.csv").write_text("step,train/loss\n1,2\n2,1\n")
    draw_curves(tmp_path)
    assert (tmp_path / "curves.png").stat().st_size > 0
