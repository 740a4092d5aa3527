"""Level-by-level training of networks that render at several scales, as in PyNET (arXiv 2002.05509)."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint

from ispbench.errors import UserError


class ProgressiveLevels(pl.Callback):
    """Trains the levels of a network one after another, each from the weights of the level before.

    The network has the same parameters at every level and an attribute ``level``. A level starts with a fresh optimizer
    state, its own loss and its own batch size; the best checkpoint is that of the last level.

    Args:
        levels: The levels in the order of training; the last one is that of the finished network.
        steps: The relative length of each level. The levels share ``trainer.max_steps`` in this proportion, so that a
            shorter training keeps the shape of the schedule.
        weights: The weights of the loss terms at each level. All of these terms must be in ``loss.weights``.
        batch_sizes: The batch size of each level; None for ``data.batch_size`` throughout.

    Raises:
        UserError: if the lists differ in length.
    """

    def __init__(
        self,
        levels: Sequence[int],
        steps: Sequence[float],
        weights: Sequence[Mapping[str, float]],
        batch_sizes: Sequence[int] | None = None,
    ) -> None:
        lists = (levels, steps, weights, batch_sizes if batch_sizes is not None else levels)
        if len({len(x) for x in lists}) != 1 or not levels or min(steps) <= 0:
            raise UserError(
                "callbacks.levels needs as many steps (above 0), weights and batch_sizes as levels: "
                f"{' '.join(str(len(x)) for x in lists)} are given for levels, steps, weights, batch_sizes."
            )
        self.levels = list(levels)
        self.steps = list(steps)
        self.weights = list(weights)
        self.batch_sizes = None if batch_sizes is None else list(batch_sizes)
        self.stage = 0
        self._ends: list[int] = []

    def on_fit_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Sets up the level with which the training starts or resumes.

        Raises:
            UserError: for a network without levels or too short a training.
        """
        if not hasattr(pl_module.model.net, "level"):
            raise UserError("callbacks.levels is for networks that train level by level, such as model=pynet.")
        if trainer.max_steps < len(self.levels):
            raise UserError(
                f"{len(self.levels)} levels need trainer.max_steps of at least that many, not {trainer.max_steps}."
            )
        self._ends = stage_ends(self.steps, trainer.max_steps)
        self._enter(trainer, pl_module)

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Moves on to the next level when its first step is due."""
        if trainer.global_step < self._ends[self.stage] or self.stage == len(self.levels) - 1:
            return
        self.stage += 1
        self._enter(trainer, pl_module)
        for optimizer in trainer.optimizers:
            optimizer.state.clear()
        for callback in trainer.checkpoint_callbacks:
            _forget_best(callback)
        if self.batch_sizes is not None and self.batch_sizes[self.stage] != self.batch_sizes[self.stage - 1]:
            trainer.reload_dataloaders_every_n_epochs = 1  # type: ignore[attr-defined]
            pl_module.skip_epoch = True

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stops Lightning from reloading the data loader again before the next level."""
        trainer.reload_dataloaders_every_n_epochs = 0  # type: ignore[attr-defined]

    def _enter(self, trainer: Any, pl_module: Any) -> None:
        pl_module.model.net.level = self.levels[self.stage]
        pl_module.loss.reweigh(self.weights[self.stage])
        if self.batch_sizes is not None:
            trainer.datamodule.batch_size = self.batch_sizes[self.stage]

    def state_dict(self) -> dict[str, Any]:
        """The state that a resumed training needs."""
        return {"stage": self.stage}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the level of a checkpoint."""
        self.stage = state_dict["stage"]


def stage_ends(steps: Sequence[float], total: int) -> list[int]:
    """The step at which each stage ends: `total` divided in proportion to `steps`, with at least one step each."""
    whole = sum(steps)
    ends = [round(total * reached / whole) for reached in accumulate(steps)]
    for stage in range(len(ends)):
        at_least = (ends[stage - 1] if stage else 0) + 1
        ends[stage] = min(max(ends[stage], at_least), total - (len(ends) - 1 - stage))
    return ends


def _forget_best(callback: Any) -> None:
    """Resets the best score of a checkpoint callback: scores of different levels are not comparable."""
    if isinstance(callback, ModelCheckpoint):
        callback.best_k_models = {}
        callback.kth_best_model_path = ""
        callback.best_model_path = ""
        callback.best_model_score = None
        callback.current_score = None
