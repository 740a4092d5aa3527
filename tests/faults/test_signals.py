"""Whenever a training is stopped, the same command ends with the weights of one that nobody stopped, to the bit."""

import os
import signal

import pytest
import pytorch_lightning as pl
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ispbench.checkpoints import newest_checkpoint
from ispbench.training.callbacks.checkpoints import Checkpoints
from ispbench.training.callbacks.stop import StopBetweenSteps
from ispbench.training.signals import sigterm_as_exception
from tests.faults.harness import count, some
from tests.training.toy_training import data, train

HOOKS = {  # and how often each is called in a training of 11 steps, 3 to an epoch, validated every 2 on 2 batches
    "setup": 1,
    "on_fit_start": 1,
    "on_train_start": 1,
    "on_train_epoch_start": 4,
    "on_train_batch_start": 11,
    "on_before_zero_grad": 11,
    "on_before_backward": 11,
    "on_after_backward": 11,
    "on_before_optimizer_step": 11,
    "on_train_batch_end": 11,
    "on_validation_start": 5,
    "on_validation_epoch_start": 5,
    "on_validation_batch_start": 10,
    "on_validation_batch_end": 10,
    "on_validation_epoch_end": 5,
    "on_validation_end": 5,
    "on_save_checkpoint": 7,
    "on_train_epoch_end": 4,
    "on_train_end": 1,
    "teardown": 1,
}
MOMENTS = [(hook, time) for hook, times in HOOKS.items() for time in range(1, times + 1)]


class Send(pl.Callback):
    """Sends this process a signal when a hook is called for the nth time."""

    def __init__(self, hook, time, number, repeat=1):
        self.left, self.number, self.repeat = time, number, repeat
        setattr(self, hook, self._count)

    def _count(self, *_, **__):
        self.left -= 1
        if not self.left:
            for _ in range(self.repeat):
                os.kill(os.getpid(), self.number)


@pytest.fixture(scope="module")
def pairs():
    return data()


@pytest.fixture(scope="module", params=["average", "accumulated"])
def options(request):
    accumulated = 1 + (request.param == "accumulated")
    return {
        "average": accumulated == 1,
        "accumulate_grad_batches": accumulated,
        "val_check_interval": 2 * accumulated,
    }


def kept(folder):
    """What a training leaves that is scored: by file, step, weights, and the validation's score."""
    found = {}
    for name in ("last", "best"):
        content = torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)
        (scores,) = [state for key, state in content["callbacks"].items() if key.startswith("Checkpoints")]
        score = scores["best_model_score"]
        found[name] = (content["global_step"], float(score), content["state_dict"])
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, pairs, options):
    folder = tmp_path_factory.mktemp("undisturbed")
    train(folder, pairs=pairs, **options)
    return kept(folder)


def run(folder, pairs, *callbacks, **options):
    """As the command line trains; False if a signal ended it."""
    before = signal.getsignal(signal.SIGINT)
    try:
        with sigterm_as_exception():
            resume = newest_checkpoint(folder, required=False)
            train(folder, StopBetweenSteps(), *callbacks, resume=resume, pairs=pairs, **options)
    except (KeyboardInterrupt, SystemExit):
        return False
    finally:
        signal.signal(signal.SIGINT, before)
    return True


def same(found, wanted):
    for name, (step, score, weights) in wanted.items():
        assert found[name][:2] == (step, score), name
        for key, value in weights.items():
            assert torch.equal(found[name][2][key], value), (name, key)
    return True


def stop_and_go_on(folder, pairs, options, *moments):
    """Stops at each of some moments, and then lets the training end."""
    for hook, time, number, repeat in moments:
        run(folder, pairs, Send(hook, time, number, repeat), **options)
    assert run(folder, pairs, **options)
    return kept(folder)


@pytest.mark.parametrize("hook, time", some(MOMENTS, 10))
@pytest.mark.parametrize("number", some([signal.SIGTERM, signal.SIGINT], 1))
def test_a_stop_at_every_hook(hook, time, number, options, undisturbed, pairs, tmp_path, attempt):
    send = Send(hook, time, number)
    run(tmp_path, pairs, send, **options)
    assert send.left <= 0, "the signal was sent"
    assert run(tmp_path, pairs, **options)
    assert same(kept(tmp_path), undisturbed)
    attempt.note(f"{number.name} in {hook}", "the same weights")


STOPS = st.tuples(
    st.sampled_from(MOMENTS), st.sampled_from([signal.SIGTERM, signal.SIGINT]), st.sampled_from([1, 1, 1, 2])
)


@settings(max_examples=count(60, 6), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(STOPS, min_size=1, max_size=3))
def test_any_stops_one_after_another(options, undisturbed, pairs, tmp_path_factory, attempt, stops):
    moments = [(hook, time, number, repeat) for (hook, time), number, repeat in stops]
    assert same(stop_and_go_on(tmp_path_factory.mktemp("stops"), pairs, options, *moments), undisturbed)
    attempt.note("several stops, drawn at random, twice the same signal among them", "the same weights")


class Killed(BaseException):
    """Stands for SIGKILL: nothing is saved any more."""


def kill(monkeypatch, folder, pairs, options, hook, time):
    def die(*_, **__):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "on_exception", lambda *_: None)
        if hook in ("os.fsync", "os.replace"):
            real, left = getattr(os, hook[3:]), [time]

            def call(*args):
                left[0] -= 1
                return real(*args) if left[0] else die()

            patch.setattr(hook, call)
            callback = pl.Callback()
        else:
            callback = Send(hook, time, signal.SIGTERM)
            patch.setattr("tests.faults.test_signals.os.kill", die)
        with pytest.raises(Killed):
            run(folder, pairs, callback, **options)


WRITES = [("os.fsync", time) for time in range(1, 8)] + [("os.replace", time) for time in range(1, 12)]


@pytest.mark.parametrize("hook, time", some([*MOMENTS, *WRITES], 10))
def test_a_kill_at_every_hook_and_write(hook, time, options, undisturbed, pairs, tmp_path, attempt, monkeypatch):
    kill(monkeypatch, tmp_path, pairs, options, hook, time)
    assert run(tmp_path, pairs, **options)
    assert same(kept(tmp_path), undisturbed)
    attempt.note(f"a kill in {hook}", "the same weights")


@pytest.mark.parametrize("time", some(range(1, 8), 2))
def test_a_signal_while_a_checkpoint_is_written(time, options, undisturbed, pairs, tmp_path, attempt, monkeypatch):
    real, left = os.fsync, [time]

    def sync(handle):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGTERM)
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", sync)
        run(tmp_path, pairs, **options)
    assert left[0] <= 0
    assert run(tmp_path, pairs, **options)
    assert same(kept(tmp_path), undisturbed)
    attempt.note("SIGTERM while a checkpoint is written", "the same weights")
