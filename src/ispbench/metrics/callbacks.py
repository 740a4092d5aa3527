"""Metrics as Lightning callbacks. What each measured stands in `results`, for the run's record."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from ispbench.errors import UserError
from ispbench.evaluation.complexity import complexity
from ispbench.evaluation.latency import latency
from ispbench.evaluation.sizes import SIZES
from ispbench.metrics.backbones import WeightsUnavailableError
from ispbench.metrics.quality import LPIPS, quantise
from ispbench.metrics.scores import SCORES, ImageScores, choose, score_each
from ispbench.protocols.aligned import AlignedToOutput, AlignedToRaw
from ispbench.protocols.base import OriginalGT

_LPIPS_NAMES = {"alex": "lpips", "vgg": "lpips_vgg"}


class MetricCallback(pl.Callback):
    """A callback that leaves numbers for the record.

    Attributes:
        results: Name to value.
        notes: Name to the reason why that value is missing.
    """

    def __init__(self) -> None:
        self.results: dict[str, Any] = {}
        self.notes: dict[str, str] = {}


class QualityCallback(MetricCallback):
    """Image quality in validation and test, as ``docs/rules.md`` defines it.

    Images are clamped and rounded to 8 bits before they are scored, in float32 and one by one; scores are means over
    images, each counted once. In the test the protocol says what they are compared with; validation, which selects the
    checkpoint, is always against the original target. An image with NaN or Inf has no score, and then neither has the
    set: ``nonfinite`` counts them.

    Args:
        lpips: Backbones of LPIPS in the test, of ``alex`` and ``vgg``; null for none.
        lpips_weights: File of the backbone's ImageNet weights; null to search for them.
        scores: Names of the test's scores, of `SCORES`; null for all.
        validation: Those of validation, logged as ``val/psnr`` and so on.
        unrounded: Those that the test computes also before rounding, as ``psnr_unrounded`` and so on.

    Attributes:
        protocol: Of the test.
        scores: The test's table, one row an image.
    """

    def __init__(
        self,
        lpips: str | Sequence[str] | None = "alex",
        lpips_weights: str | None = None,
        scores: Sequence[str] | None = None,
        validation: Sequence[str] = ("psnr", "ssim"),
        unrounded: Sequence[str] = ("psnr", "ssim"),
    ) -> None:
        super().__init__()
        self.backbones = [lpips] if isinstance(lpips, str) else list(lpips or ())
        if wrong := [name for name in self.backbones if name not in _LPIPS_NAMES]:
            raise UserError(f"metrics.quality.lpips is alex, vgg, both in a list, or null, not {wrong[0]!r}.")
        self.lpips_weights = lpips_weights
        self.protocol: OriginalGT | AlignedToRaw | AlignedToOutput = OriginalGT()
        self.scores = pd.DataFrame()
        self._test = choose(list(SCORES) if scores is None else scores, "metrics.quality.scores")
        self._unrounded = choose(unrounded, "metrics.quality.unrounded")
        self._validation = choose(validation, "metrics.quality.validation")
        self._collected = ImageScores()
        self._lpips: dict[str, LPIPS] = {}

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Finds the weights of LPIPS; without them its cell stays empty, for a recorded reason."""
        self._lpips = {}
        if not self.backbones:
            self.notes["lpips"] = "switched off (metrics.quality.lpips=null)"
        for backbone in self.backbones:
            name = _LPIPS_NAMES[backbone]
            try:
                self._lpips[name] = LPIPS(backbone, self.lpips_weights).to(pl_module.device)
            except WeightsUnavailableError as error:
                self.notes[name] = str(error)
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
        """Scores a batch against the original target."""
        images, finite = _finite(outputs)
        saved, target = quantise(images), batch["target"].float()
        self._collect(batch, finite, [score_each(score, saved, target) for score in self._validation.values()])

    def on_test_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, *_: Any, **__: Any) -> None:
        """Scores a batch under the protocol."""
        images, finite = _finite(outputs)
        saved, exact = quantise(images), images.clamp(0, 1)
        target, mask, veil = self.protocol.reference(saved, batch)
        if veil is not None:
            saved, exact = saved * veil, exact * veil
        columns = [score_each(score, saved, target, mask) for score in self._test.values()]
        columns += [score_each(model, saved, target, mask) for model in self._lpips.values()]
        columns += [score_each(score, exact, target, mask) for score in self._unrounded.values()]
        self._collect(batch, finite, columns)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Logs ``val/psnr`` and so on, the same on every device."""
        for name, value in self._means(list(self._validation)).items():
            if name in self._validation:
                pl_module.log(f"val/{name}", value, prog_bar=name == "psnr", sync_dist=True)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Logs and keeps the means, and the table of all images."""
        names = [*self._test, *self._lpips, *(f"{name}_unrounded" for name in self._unrounded)]
        means = self._means(names)
        for name, value in means.items():
            pl_module.log(f"test/{name}", float(value), sync_dist=True)
        images = trainer.datamodule.source("test").names  # type: ignore[attr-defined]
        self.scores.insert(0, "image", [images[index] for index in self.scores.index])
        self._explain(means)
        self.results = {name: value for name, value in means.items() if name not in self.notes}

    def _collect(self, batch: dict[str, Any], finite: Tensor, columns: list[Tensor]) -> None:
        rows = torch.stack([column.to(finite.device) for column in columns], dim=1)
        rows[~finite] = torch.nan
        self._collected.update(batch["index"], torch.cat((rows, finite[:, None].float()), dim=1))

    def _means(self, names: list[str]) -> dict[str, float | int]:
        indices, rows = self._collected.compute()
        indices, rows = indices.reshape(-1), rows.reshape(-1, len(names) + 1)  # torchmetrics squeezes a single value
        self.scores = pd.DataFrame(rows[:, :-1].numpy(), columns=names, index=indices.tolist())
        means = rows[:, :-1].double().mean(0).tolist()  # NaN if one image has none
        return dict(zip(names, means, strict=True)) | {"nonfinite": int((rows[:, -1] == 0).sum())}

    def _explain(self, means: dict[str, float | int]) -> None:
        """Notes why a mean is missing."""
        for name in [name for name, value in means.items() if math.isnan(value)]:
            if means["nonfinite"]:
                self.notes[name] = f"{means['nonfinite']} of {len(self.scores)} outputs hold NaN or Inf"
            else:
                count = int(self.scores[name].isna().sum())
                self.notes[name] = f"undefined for {count} of {len(self.scores)} images: too small, or no valid pixel"


def _finite(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """The outputs in float32, NaN and Inf replaced, and which images had none, shape (N,)."""
    images = outputs.detach().float()
    return torch.nan_to_num(images), images.isfinite().flatten(1).all(1)


class ComplexityCallback(MetricCallback):
    """Parameters, MACs and other operations of the bare network, counted before the test.

    At the given size, and the MACs also at the others of `SIZES`, as ``gmacs_256x256`` and so on.

    Args:
        height: Of the Bayer image that is counted at.
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
        for name, size in SIZES.items():
            if size != self.size:
                self.results[f"gmacs_{name}"] = complexity(pl_module.model, *size).gmacs


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
        names = {"median_ms": "latency_ms", "iqr_ms": "latency_iqr_ms", "min_ms": "latency_min_ms"}
        names |= {"input": "latency_input"}
        self.results = {names.get(name, name): value for name, value in measured.items()}
