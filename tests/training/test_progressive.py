from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from hypothesis import given
from hypothesis import strategies as st

from ispbench.errors import UserError
from ispbench.training.callbacks.checkpoints import Checkpoints
from ispbench.training.callbacks.progressive import ProgressiveLevels, stage_ends
from ispbench.training.module import ISPModule
from tests.toys import ToyData, ToyPyramid, toy_loss, toy_trainer

WEIGHTS = [{"mse": 1.0}, {"l1": 1.0}, {"l1": 1.0, "mse": 1.0}]
ADAM = partial(torch.optim.Adam, lr=0.01)


class Watch(pl.Callback):
    """What every training step was made with, and what validation saw."""

    def __init__(self):
        self.steps, self.shapes, self.fresh = [], [], []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.steps.append((pl_module.model.net.level, len(batch["raw"]), tuple(pl_module.loss.scales[0])))
        ages = {int(state["step"]) for state in trainer.optimizers[0].state.values()}
        self.fresh.append(ages)

    def on_validation_batch_end(self, trainer, pl_module, outputs, batch, *_):
        assert outputs.shape == batch["target"].shape
        self.shapes.append(pl_module.model.net.level)


def module():
    torch.manual_seed(0)
    return ISPModule(ToyPyramid(), toy_loss(l1=1.0, mse=1.0), ADAM)


def levels(**options):
    return ProgressiveLevels([2, 1, 0], [1, 1, 2], WEIGHTS, **options)


def test_each_level_has_its_steps_loss_batch_size_and_fresh_optimizer():
    watch, progress = Watch(), levels(batch_sizes=[4, 2, 1])
    toy_trainer(12, progress, watch, limit_val_batches=1, val_check_interval=3).fit(module(), datamodule=ToyData())
    assert watch.steps == [(2, 4, ("mse",))] * 3 + [(1, 2, ("l1",))] * 3 + [(0, 1, ("l1", "mse"))] * 6
    assert watch.fresh == [{1}, {2}, {3}, {1}, {2}, {3}, {1}, {2}, {3}, {4}, {5}, {6}]
    assert set(watch.shapes) == {0, 1, 2}


def test_without_batch_sizes_the_datamodules_is_kept():
    watch = Watch()
    toy_trainer(4, levels(), watch).fit(module(), datamodule=ToyData(batch_size=3))
    assert [(level, size) for level, size, _ in watch.steps] == [(2, 3), (1, 3), (0, 3), (0, 3)]


def test_a_level_starts_from_the_one_before_and_trains_its_own_parameters():
    trained = module()
    toy_trainer(4, levels()).fit(trained, datamodule=ToyData())
    assert (trained.model.net.gains != 1).all()
    assert (trained.model.net.bias != 0).all()


def test_the_best_checkpoint_is_of_the_last_level(tmp_path):
    class Score(pl.Callback):
        """Coarse levels score better, as they well may in a short training."""

        def on_validation_epoch_end(self, trainer, pl_module):
            pl_module.log("val/psnr", 10.0 * pl_module.model.net.level + trainer.global_step)

    checkpoints = Checkpoints(str(tmp_path))
    trainer = toy_trainer(
        12,
        levels(),
        Score(),
        checkpoints,
        enable_checkpointing=True,
        limit_val_batches=1,
        val_check_interval=1,
    )
    trainer.fit(module(), datamodule=ToyData())
    assert checkpoints.best_model_score == 12
    assert torch.load(checkpoints.best_model_path, weights_only=True)["global_step"] == 12


def test_a_resumed_training_goes_on_at_its_level(tmp_path):
    whole, part, rest = module(), module(), module()
    toy_trainer(12, levels(batch_sizes=[4, 2, 2])).fit(whole, datamodule=ToyData())

    class Stop(pl.Callback):
        def on_train_batch_end(self, trainer, *_):
            if trainer.global_step == 5:
                trainer.save_checkpoint(tmp_path / "part.ckpt")
                trainer.should_stop = True

    toy_trainer(12, levels(batch_sizes=[4, 2, 2]), Stop()).fit(part, datamodule=ToyData())
    watch = Watch()
    trainer = toy_trainer(12, levels(batch_sizes=[4, 2, 2]), watch)
    trainer.fit(rest, datamodule=ToyData(), ckpt_path=tmp_path / "part.ckpt")
    assert [(level, size) for level, size, _ in watch.steps] == [(1, 2)] + [(0, 2)] * 6
    assert trainer.global_step == 12


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=8), st.integers(0, 10**6))
def test_stages_share_the_training_and_none_is_empty(steps, more):
    total = len(steps) + more
    ends = stage_ends(steps, total)
    assert ends[-1] == total
    assert all(a < b for a, b in zip([0, *ends], ends, strict=False))


def test_the_authors_steps_are_kept_where_the_training_is_as_long():
    steps = [7488, 7488, 15912, 15912, 73175, 195150]
    assert stage_ends(steps, sum(steps)) == [7488, 14976, 30888, 46800, 119975, 315125]


def test_what_does_not_fit_is_refused():
    with pytest.raises(UserError, match="3 2 3 3 are given for levels, steps, weights, batch_sizes"):
        ProgressiveLevels([2, 1, 0], [1, 1], WEIGHTS)
    with pytest.raises(UserError, match=r"3 levels need trainer\.max_steps of at least that many, not 2"):
        toy_trainer(2, levels()).fit(module(), datamodule=ToyData())
    plain = module()
    del plain.model.net.level
    with pytest.raises(UserError, match="such as model=pynet"):
        toy_trainer(3, levels()).fit(plain, datamodule=ToyData())
