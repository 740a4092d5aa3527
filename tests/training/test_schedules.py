import math
from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from hydra.utils import instantiate

from ispbench.config import choices, compose
from ispbench.errors import UserError
from ispbench.training.module import ISPModule
from ispbench.training.schedules import cosine_restarts, piecewise
from tests.toys import ToyData, ToyPyramid, toy_loss, toy_trainer


class Rates(pl.Callback):
    """The learning rate of every training step."""

    def __init__(self):
        self.seen = []

    def on_train_batch_start(self, trainer, *_):
        self.seen.append(trainer.optimizers[0].param_groups[0]["lr"])


def rates(scheduler, steps, lr=0.1):
    watch = Rates()
    module = ISPModule(ToyPyramid(), toy_loss(), partial(torch.optim.SGD, lr=lr), scheduler)
    toy_trainer(steps, watch).fit(module, datamodule=ToyData(batch_size=6))  # epochs of two steps
    return watch.seen


def test_a_schedule_of_torch_steps_with_every_training_step():
    seen = rates(partial(torch.optim.lr_scheduler.StepLR, step_size=3, gamma=0.5), 8)
    assert seen == pytest.approx([0.1] * 3 + [0.05] * 3 + [0.025] * 2)


def test_a_schedule_of_timm_steps_with_every_training_step():
    from timm.scheduler import CosineLRScheduler

    seen = rates(partial(CosineLRScheduler, t_in_epochs=False, t_initial=8, lr_min=0.01), 8)
    assert seen == pytest.approx([0.01 + 0.09 * (1 + math.cos(math.pi * step / 8)) / 2 for step in range(8)])


def test_no_schedule_keeps_the_rate():
    assert rates(None, 3) == [0.1] * 3


def test_piecewise_scales_with_the_training():
    schedule = partial(piecewise, starts=[0.2, 0.4, 0.6, 0.8], factors=[1, 0.5, 0.1, 0.05, 0.01])
    wanted = [0.1, 0.05, 0.01, 0.005, 0.001]
    assert rates(partial(schedule, total=5), 5) == pytest.approx(wanted)
    assert rates(partial(schedule, total=10), 10) == pytest.approx([rate for rate in wanted for _ in range(2)])


def test_cosine_restarts_warm_up_and_double():
    first, warmup = 4, 2
    schedule = partial(cosine_restarts, total=16, first=first / 16, warmup=warmup / 16, warmup_lr=0.0, lr_min=0.02)
    wanted = [0.1 * step / warmup for step in range(warmup)]
    for length in (first, 2 * first):
        wanted += [0.02 + 0.08 * (1 + math.cos(math.pi * step / length)) / 2 for step in range(length)]
    assert rates(schedule, len(wanted)) == pytest.approx(wanted)


@pytest.mark.parametrize("starts, factors", [([0.5], [1.0]), ([0.6, 0.5], [1, 1, 1]), ([1.5], [1, 1]), ([0.0], [1, 1])])
def test_piecewise_refuses_pieces_that_do_not_fit(starts, factors):
    optimizer = torch.optim.SGD(ToyPyramid().parameters(), lr=0.1)
    with pytest.raises(UserError, match="rise between 0 and 1"):
        piecewise(optimizer, 10, starts, factors)


def test_cosine_restarts_refuses_what_is_no_fraction():
    optimizer = torch.optim.SGD(ToyPyramid().parameters(), lr=0.1)
    with pytest.raises(UserError, match="fractions of the training"):
        cosine_restarts(optimizer, 10, first=5)


@pytest.mark.parametrize("optimizer", choices("optimizer"))
@pytest.mark.parametrize("scheduler", choices("scheduler"))
def test_every_shipped_choice_trains_and_its_checkpoint_holds_plain_values(optimizer, scheduler, tmp_path):
    options = [f"optimizer={optimizer}", f"scheduler={scheduler}", "trainer.max_steps=4", "data=mini"]
    config = compose(options)
    module = ISPModule(ToyPyramid(), toy_loss(), instantiate(config.optimizer), instantiate(config.scheduler))
    trainer = toy_trainer(4)
    trainer.fit(module, datamodule=ToyData())
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 4
    assert len(saved["lr_schedulers"]) == 1
