"""The progress bar."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar


class ProgressBar(RichProgressBar):
    """Lightning's rich progress bar with the step and the best validation score next to the loss."""

    decides_numbers = False

    def _get_train_description(self, current_epoch: int) -> str:
        return f"Epoch {current_epoch}"

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """The values at the right end of the bar."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        metrics["step"] = f"{trainer.global_step}/{trainer.max_steps}"
        best = getattr(trainer.checkpoint_callback, "best_model_score", None)
        return metrics if best is None else {**metrics, "best": f"{best:.2f}"}
