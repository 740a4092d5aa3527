"""Whenever a training is stopped, the same command ends with the weights of one that nobody stopped, to the bit."""

import os
import signal

import pytest
import pytorch_lightning as pl
import torch

from ispbench.checkpoints import newest_checkpoint
from ispbench.training.callbacks.stop import StopBetweenSteps
from ispbench.training.signals import sigterm_as_exception
from tests.faults.harness import some
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
    "on_save_checkpoint": 9,
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
    assert same(stop_and_go_on(tmp_path, pairs, options, (hook, time, number, 1)), undisturbed)
    attempt.note(f"{number.name} in {hook}", "the same weights")
