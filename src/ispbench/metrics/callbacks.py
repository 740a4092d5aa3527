"""Metrics as Lightning callbacks. What each measured stands in `results`, for the run's record."""

import warnings
from dataclasses import asdict
from typing import Any

import pandas as pd
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from ispbench.metrics.backbones import WeightsUnavailableError
from ispbench.metrics.complexity import complexity
from ispbench.metrics.latency import latency
from ispbench.metrics.quality import LPIPS, psnr, quantise, ssim
from ispbench.precision import full_precision


class MetricCallback(pl.Callback):
    """A callback that leaves numbers for the record.

    Attributes:
        results: Name to value.
        notes: Name to the reason why that value is missing.
    """

    def __init__(self) -> None:
        self.results: dict[str, Any] = {}
        self.notes: dict[str, str] = {}


class ImageScores(Metric):
    """Collects one row of scores an image across devices; an image that came twice counts once."""

    full_state_update = False
    rows: list[Tensor]
    indices: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("rows", default=[], dist_reduce_fx="cat")
        self.add_state("indices", default=[], dist_reduce_fx="cat")

    def update(self, indices: Tensor, rows: Tensor) -> None:
        """Adds the scores of some images: their indices, shape (N,), and their rows, shape (N, scores)."""
        self.indices.append(indices)
        self.rows.append(rows)

    def compute(self) -> tuple[Tensor, Tensor]:
        """Indices in order and the row of each."""
        indices, rows = dim_zero_cat(self.indices), dim_zero_cat(self.rows)
        first = {int(index): position for position, index in reversed(list(enumerate(indices.tolist())))}
        order = [first[index] for index in sorted(first)]
        return indices[order].cpu(), rows[order].cpu()


class QualityCallback(MetricCallback):
    """PSNR and SSIM in validation; PSNR, SSIM and LPIPS in the test.

    Images are clamped and rounded to 8 bits before they are scored. Scores are means over images. An image with NaN or
    Inf is counted in ``nonfinite`` and has no score.

    Args:
        lpips: Backbone of LPIPS in the test, ``alex`` or ``vgg``; null for none.
        lpips_weights: File of the backbone's ImageNet weights; null to search for them.
    """

    def __init__(self, lpips: str | None = "alex", lpips_weights: str | None = None) -> None:
        super().__init__()
        self.lpips_network = lpips
        self.lpips_weights = lpips_weights
        self.scores = pd.DataFrame()
        self._collected = ImageScores()
        self._lpips: LPIPS | None = None

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Finds the weights of LPIPS; without them its cell stays empty, for a recorded reason."""
        if self.lpips_network is None:
            self.notes["lpips"] = "switched off (metrics.quality.lpips=null)"
            return
        try:
            self._lpips = LPIPS(self.lpips_network, self.lpips_weights).to(pl_module.device)
        except WeightsUnavailableError as error:
            self.notes["lpips"] = str(error)
            warnings.warn(f"LPIPS is left out: {error}", stacklevel=1)

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts afresh."""
        self._collected = ImageScores().to(pl_module.device)

    def on_test_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts afresh."""
        self._collected = ImageScores().to(pl_module.device)

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, *_: Any, **__: Any
    ) -> None:
        """Scores a batch without LPIPS."""
        self._score(outputs, batch, None)

    def on_test_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, *_: Any, **__: Any) -> None:
        """Scores a batch."""
        self._score(outputs, batch, self._lpips)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Logs ``val/psnr`` and ``val/ssim``."""
        for name, value in self._means().items():
            if name in ("psnr", "ssim"):
                pl_module.log(f"val/{name}", value, prog_bar=name == "psnr", rank_zero_only=True)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Logs and keeps the means, and the table of all images."""
        means = self._means()
        for name, value in means.items():
            pl_module.log(f"test/{name}", float(value), rank_zero_only=True)
        names = trainer.datamodule.source("test").names  # type: ignore[attr-defined]
        self.scores.insert(0, "image", [names[index] for index in self.scores.index])
        self.results = {name: value for name, value in means.items() if name not in self.notes}

    def _score(self, images: Tensor, batch: dict[str, Any], lpips: LPIPS | None) -> None:
        images, target = images.detach().float(), batch["target"].float()
        finite = images.isfinite().flatten(1).all(1)
        saved = quantise(torch.nan_to_num(images))
        with full_precision(saved):
            columns = [
                psnr(saved, target),
                ssim(saved, target),
                psnr(torch.nan_to_num(images).clamp(0, 1), target),
                lpips(saved, target)
                if lpips is not None
                else torch.full((len(saved),), torch.nan, device=saved.device),
            ]
        rows = torch.stack(columns, dim=1)
        rows[~finite] = torch.nan
        self._collected.update(batch["index"], torch.cat((rows, finite[:, None].float()), dim=1))

    def _means(self) -> dict[str, float | int]:
        indices, rows = self._collected.compute()
        indices, rows = indices.reshape(-1), rows.reshape(indices.numel(), -1)  # torchmetrics drops a length of one
        columns = ["psnr", "ssim", "psnr_unrounded", "lpips", "finite"]
        self.scores = pd.DataFrame(rows.numpy(), columns=columns, index=indices.tolist())
        finite = self.scores.pop("finite").astype(bool)
        if self._lpips is None:
            self.scores = self.scores.drop(columns="lpips")
        means = self.scores[finite].mean()
        return {str(name): float(value) for name, value in means.items()} | {"nonfinite": int((~finite).sum())}


class ComplexityCallback(MetricCallback):
    """Parameters and MACs of the bare network, counted before the test.

    Args:
        height: Of the Bayer image the MACs are counted at.
        width: Of it.
    """

    def __init__(self, height: int = 448, width: int = 448) -> None:
        super().__init__()
        self.size = (height, width)

    @rank_zero_only
    def on_test_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Counts."""
        counted = asdict(complexity(pl_module.model, *self.size))
        self.results = {"gmacs_input" if name == "input" else name: value for name, value in counted.items()}


class LatencyCallback(MetricCallback):
    """Latency and peak memory, measured after the test on its device.

    Args:
        height: Of the Bayer image.
        width: Of it.
        repetitions: How often it is rendered.
    """

    def __init__(self, height: int = 448, width: int = 448, repetitions: int = 10) -> None:
        super().__init__()
        self.size = (height, width)
        self.repetitions = repetitions

    @rank_zero_only
    def on_test_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Times."""
        measured = asdict(latency(pl_module.model.eval(), *self.size, repetitions=self.repetitions))
        names = {"median_ms": "latency_ms", "iqr_ms": "latency_iqr_ms", "input": "latency_input"}
        self.results = {names.get(name, name): value for name, value in measured.items()}
