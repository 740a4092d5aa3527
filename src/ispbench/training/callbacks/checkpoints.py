"""The checkpoints of a training."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint


class Checkpoints(ModelCheckpoint):
    """Keeps the best checkpoint by validation and the last one, also the state at which a run broke off.

    Args:
        dirpath: Folder of the checkpoints.
        monitor: The logged value that decides which is best.
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
        """Saves the last state at every validation, not only, as Lightning does, at those with a new best score."""
        super().on_validation_end(trainer, pl_module)
        if trainer.state.fn == "fit" and self._last_global_step_saved != trainer.global_step:
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Saves the state as ``last.ckpt``, to resume from."""
        if trainer.state.fn == "fit" and trainer.global_step:
            self._save_checkpoint(trainer, str(Path(str(self.dirpath)) / "last.ckpt"))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Remembers the best score also where the checkpoint came from another folder."""
        super().load_state_dict({**state_dict, "dirpath": self.dirpath})

    def _save_checkpoint(self, trainer: pl.Trainer, filepath: str) -> None:
        """Keeps the last checkpoint but one, should the last be broken. Lightning writes each whole or not at all."""
        last = Path(filepath)
        if last.name == "last.ckpt" and trainer.is_global_zero and last.is_file():
            last.replace(last.with_name("previous.ckpt"))
        super()._save_checkpoint(trainer, filepath)
