"""The checkpoints of a training."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint


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

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Saves the last state at every validation; Lightning does so only if the score is a new best one."""
        super().on_validation_end(trainer, pl_module)
        if trainer.state.fn == "fit" and self._last_global_step_saved != trainer.global_step:
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Saves the state as ``last.ckpt``, so that the training can be resumed."""
        if trainer.state.fn == "fit" and trainer.global_step:
            self._save_checkpoint(trainer, str(Path(str(self.dirpath)) / "last.ckpt"))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the best score, even if the checkpoint comes from another folder."""
        super().load_state_dict({**state_dict, "dirpath": self.dirpath})

    def _save_checkpoint(self, trainer: pl.Trainer, filepath: str) -> None:
        """Keeps the previous checkpoint, too, in case the last one is damaged later. Lightning writes atomically."""
        last = Path(filepath)
        if last.name == "last.ckpt" and trainer.is_global_zero and last.is_file():
            last.replace(last.with_name("previous.ckpt"))
        super()._save_checkpoint(trainer, filepath)
