"""The checkpoints of a training."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint

from ispbench.checkpoint_files import PREVIOUS, read
from ispbench.checkpoints import check_resumable
from ispbench.console import warn
from ispbench.errors import UserError
from ispbench.training.signals import stops_at_once


class Checkpoints(ModelCheckpoint):
    """Keeps the checkpoint with the best validation score and the last one, also when a run is interrupted.

    Args:
        dirpath: The folder to write to.
        monitor: The logged value that decides which one is best.
        mode: ``max`` or ``min``.
    """

    places = ("dirpath",)

    def __init__(self, dirpath: str, monitor: str = "val/psnr", mode: str = "max") -> None:
        super().__init__(
            dirpath=dirpath,
            filename="best",
            monitor=monitor,
            mode=mode,
            save_last=True,
            enable_version_counter=False,
        )
        self._training = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Makes sure of the best checkpoint so far, and removes what a killed process was writing."""
        super().on_train_start(trainer, pl_module)
        if trainer.is_global_zero:
            for scratch in Path(str(self.dirpath)).glob(".*.ckpt~*"):
                scratch.unlink(missing_ok=True)
        self._settle_best(trainer)
        self._training = True

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Saves the last state at every validation; Lightning does so only if the score is a new best one."""
        candidates = self._monitor_candidates(trainer)
        self.current_score = candidates.get(str(self.monitor))
        super().on_validation_end(trainer, pl_module)
        if trainer.state.fn == "fit" and self._last_global_step_saved != trainer.global_step:
            self._save_last_checkpoint(trainer, candidates)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Saves the last state at the end of the training, also where no validation is due there."""
        super().on_train_epoch_end(trainer, pl_module)
        if trainer.global_step >= trainer.max_steps > 0 and self._last_global_step_saved != trainer.global_step:
            self.current_score = None
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Ends the time in which an interruption saves the state."""
        self._training = False

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Saves the last state where a full disk took it, and a training has begun and ended at the best one."""
        lacking = trainer.strategy.broadcast(not (Path(str(self.dirpath)) / "last.ckpt").is_file())
        if lacking and trainer.global_step >= trainer.max_steps > 0:
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Saves the state as ``last.ckpt``, so that the training can be resumed, unless it is amid a step."""
        if (
            self._training
            and trainer.state.fn == "fit"
            and self._last_global_step_saved != trainer.global_step
            and not stops_at_once(exception)
            and _is_between_steps(trainer)
        ):
            _take_back_what_has_begun(trainer)
            self._save_checkpoint(trainer, str(Path(str(self.dirpath)) / "last.ckpt"))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the best score, even if the folder was moved."""
        super().load_state_dict({**state_dict, "dirpath": self.dirpath})

    def _settle_best(self, trainer: pl.Trainer) -> None:
        """Goes back to the best checkpoint before where the best one is damaged; forgets one of another folder."""
        if self.best_model_score is None:
            return
        found = self._find_best() if trainer.is_global_zero else None
        self.best_model_path, self.best_model_score = trainer.strategy.broadcast(found) or ("", None)
        self.kth_best_model_path = self.best_model_path
        self.best_k_models = {}
        if self.best_model_score is not None:
            self.kth_value = self.best_model_score
            self.best_k_models = {self.best_model_path: self.best_model_score}

    def _find_best(self) -> tuple[str, Any] | None:
        """The best whole checkpoint of the folder, under its name, and its score."""
        best = Path(str(self.dirpath)) / "best.ckpt"
        previous = best.with_stem(PREVIOUS["best"])
        for path in (best, previous):
            if not path.is_file():
                continue
            try:
                content = check_resumable(read(path)).content
            except UserError as error:
                warn(f"{error} The best checkpoint before it is taken, if there is one.")
                continue
            path.replace(best)
            score = content["callbacks"].get(self.state_key, {}).get("best_model_score")
            return None if score is None else (str(best), score)
        return None


def _is_between_steps(trainer: pl.Trainer) -> bool:
    """Whether all that was begun of an optimizer step is done, its accumulated batches included."""
    loop = trainer.fit_loop.epoch_loop
    batches: Any = loop.batch_progress
    ended = batches.is_last_batch and batches.current.ready == batches.current.completed
    whole = ended or batches.current.completed % trainer.accumulate_grad_batches == 0
    return batches.total.started == batches.total.completed and whole


def _take_back_what_has_begun(trainer: pl.Trainer) -> None:
    """Sets Lightning's counters so that a batch or a validation that was to begin, or had begun, begins anew.

    Lightning counts a batch as ready before it asks the callbacks; saved so, the validations of the resumed training
    come a step early. A validation would go on amid its images, without the scores of those before.
    """
    loop = trainer.fit_loop.epoch_loop
    batches = loop.batch_progress
    begun = batches.current.ready - batches.current.completed
    batches.total.ready -= begun
    batches.current.ready -= begun
    if trainer.validating:
        scored: Any = loop.val_loop.batch_progress
        scored.current.reset()
        scored.total.processed = scored.total.completed
        scored.total.ready = scored.total.started = scored.total.completed + 1
