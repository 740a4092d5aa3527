"""Testing a re-parameterised network in the form in which it is used."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from ispbench.errors import UserError
from ispbench.models.interface import ISPModel
from ispbench.precision import full_precision


class Deploy(pl.Callback):
    """Merges the training branches before the test and checks that the network still renders the same.

    The test's scores, parameters, MACs and latency are those of the merged network. Its weights are saved beside the
    checkpoints as ``deployed.ckpt``; for SYENet they load into ``model.deploy=true``.

    Args:
        folder: Where ``deployed.ckpt`` is written; null for nowhere.
        tolerance: Largest difference of a pixel, relative to the largest value of the image.
    """

    def __init__(self, folder: str | None = None, tolerance: float = 1e-4) -> None:
        self.folder = None if folder is None else Path(folder)
        self.tolerance = tolerance
        self.difference: float | None = None

    def on_test_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Merges and compares on the first test image.

        Raises:
            UserError: for a network without ``deploy()``.
            RuntimeError: if the merged network renders another image.
        """
        model = pl_module.model
        parts: list[Any] = [part for part in model.modules() if isinstance(part, ISPModel) and hasattr(part, "deploy")]
        if not parts:
            raise UserError(
                f"callbacks.deploy is for networks with deploy(), such as syenet, not {type(model).__name__}."
            )
        raw = self._first_raw(trainer, pl_module)
        with torch.no_grad(), full_precision(raw):
            before = model(raw)
            for part in parts:
                part.deploy()
            self.difference = _relative_difference(before, model(raw))
        if not self.difference <= self.tolerance:
            raise RuntimeError(f"deploy() changes the image by {self.difference:.2g}, more than {self.tolerance:.2g}")
        self._save(model)

    @staticmethod
    def _first_raw(trainer: Any, pl_module: Any) -> Tensor:
        batch = next(iter(trainer.datamodule.test_dataloader()))
        batch = {**batch, "raw": batch["raw"][:1].to(pl_module.device), "target": batch["target"][:1]}
        return trainer.datamodule.to_canonical(batch)["raw"]

    @rank_zero_only
    def _save(self, model: Any) -> None:
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            state = {f"model.net.{name}": value for name, value in model.net.state_dict().items()}
            torch.save({"state_dict": state}, self.folder / "deployed.ckpt")


def _relative_difference(image: Tensor, other: Tensor) -> float:
    return float((image - other).abs().max() / image.abs().max().clamp_min(1e-6))
