import os
import signal
from functools import partial
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from ispbench.training.callbacks.channels_last import ChannelsLast
from ispbench.training.callbacks.ema import EMA
from ispbench.training.callbacks.stop import StopBetweenSteps
from ispbench.training.module import ISPModule
from tests.toys import ToyData, ToyPyramid, toy_loss, toy_trainer


class Weights(pl.Callback):
    """The trained weights after every step, and those that validation sees."""

    def __init__(self):
        self.trained, self.validated = [], []

    def on_train_batch_end(self, trainer, pl_module, *_):
        self.trained.append(pl_module.model.net.bias.detach().clone())

    def on_validation_batch_end(self, trainer, pl_module, *_):
        self.validated.append(pl_module.model.net.bias.detach().clone())


def average(weights, decay):
    mean = weights[0]
    for step, current in enumerate(weights[1:], 1):
        share = min(decay, (1 + step) / (10 + step))
        mean = share * mean + (1 - share) * current
    return mean


@pytest.mark.parametrize("decay", [0.999, 0.25])
def test_ema_warms_up_and_is_what_is_validated_and_kept(decay):
    watch = Weights()
    module = ISPModule(ToyPyramid(), toy_loss(), partial(torch.optim.SGD, lr=0.1))
    toy_trainer(6, watch, EMA(decay), limit_val_batches=1, val_check_interval=4).fit(module, datamodule=ToyData())
    torch.testing.assert_close(watch.validated[0], average(watch.trained[:4], decay))
    torch.testing.assert_close(module.model.net.bias.detach(), average(watch.trained, decay))
    assert not torch.equal(module.model.net.bias.detach(), watch.trained[-1])


def test_ema_of_a_network_with_batch_norm():
    model = ToyPyramid()
    model.net = nn.Sequential(nn.Conv2d(4, 12, 1), nn.BatchNorm2d(12), nn.PixelShuffle(2))
    module = ISPModule(model, toy_loss(), partial(torch.optim.SGD, lr=0.1))
    toy_trainer(4, EMA()).fit(module, datamodule=ToyData())
    assert int(model.net[1].num_batches_tracked) == 4
    assert all(value.isfinite().all() for value in model.state_dict().values())


def test_channels_last_changes_the_layout_of_the_weights_alone():
    def trained(*callbacks):
        torch.manual_seed(0)
        model = ToyPyramid()
        model.net = nn.Sequential(nn.Conv2d(4, 16, 3, padding=1), nn.Conv2d(16, 12, 3, padding=1), nn.PixelShuffle(2))
        module = ISPModule(model, toy_loss(), partial(torch.optim.SGD, lr=0.1))
        toy_trainer(4, *callbacks).fit(module, datamodule=ToyData())
        return model.net

    plain, other = trained(), trained(ChannelsLast())
    assert plain[1].weight.is_contiguous()
    assert other[1].weight.is_contiguous(memory_format=torch.channels_last)
    assert not other[1].weight.is_contiguous()
    for name, value in other.state_dict().items():
        torch.testing.assert_close(value, plain.state_dict()[name])


@pytest.fixture
def interrupts():
    """The handler of Ctrl-C before and after a test."""
    before = signal.getsignal(signal.SIGINT)
    yield before
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_the_training_between_two_steps(interrupts):
    class Press(pl.Callback):
        """Presses in the middle of the third step."""

        def on_before_optimizer_step(self, trainer, *_):
            if trainer.global_step == 2:
                os.kill(os.getpid(), signal.SIGINT)

    watch = Weights()
    trainer = toy_trainer(10, StopBetweenSteps(), Press(), watch)
    with pytest.raises(SystemExit):
        trainer.fit(ISPModule(ToyPyramid(), toy_loss(), partial(torch.optim.SGD, lr=0.1)), datamodule=ToyData())
    assert trainer.global_step == len(watch.trained) == 3


def test_a_second_ctrl_c_acts_at_once(interrupts):
    stop = StopBetweenSteps()
    stop.on_train_start(None, None)
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        stop.on_train_batch_start(SimpleNamespace(accumulate_grad_batches=2), None, None, 4)
    stop.on_train_batch_start(SimpleNamespace(accumulate_grad_batches=2), None, None, 5)  # amid a step
    stop.on_exception(None, None, None)
    assert signal.getsignal(signal.SIGINT) is interrupts
