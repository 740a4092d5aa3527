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
from ispbench.evaluation.complexity import SIZES, complexity
from ispbench.evaluation.latency import latency
from ispbench.metrics.collection import ImageScores
from ispbench.metrics.quality import quantize
from ispbench.metrics.scoring import load, score_images
from ispbench.metrics.table import Score, choose
from ispbench.protocols.aligned import AlignedToOutput, AlignedToRaw
from ispbench.protocols.base import OriginalGT

_LPIPS_NAMES = {"alex": "lpips", "vgg": "lpips_vgg"}
_SCORES = ("psnr", "ssim", "ssim_sample", "ms_ssim", "psnr_channel", "psnr_luminance", "ciede2000")


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
        scores: Names of the test's scores, of the table; null for all of `_SCORES`.
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
        tested = [*(_SCORES if scores is None else scores), *(_LPIPS_NAMES[name] for name in self.backbones)]
        files = {_LPIPS_NAMES[name]: {"weights": lpips_weights} for name in self.backbones if lpips_weights}
        self._test = choose([*tested, *(f"{name}_unrounded" for name in unrounded)], files)
        self._validation = choose(validation)
        self._loaded: dict[str, Score] = {}
        self._collected = ImageScores()

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Finds the weights of LPIPS; without them its cell stays empty, for a recorded reason."""
        self._loaded, missing = load(self._test, pl_module.device)
        if not self.backbones:
            self.notes["lpips"] = "switched off (metrics.quality.lpips=null)"
        for name, reason in missing.items():
            self.notes[name] = reason
            warnings.warn(f"{name} is left out: {reason}", stacklevel=1)

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
        loaded = {name: metric.function for name, metric in self._validation.items()}
        self._collect(batch, outputs, score_images(self._validation, loaded, outputs, batch["target"]))

    def on_test_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, *_: Any, **__: Any) -> None:
        """Scores a batch under the protocol."""
        saved = quantize(torch.nan_to_num(outputs.float()))
        target, mask, premultiplied = self.protocol.reference(saved, batch)
        images = outputs if premultiplied is None else outputs * premultiplied
        measured = {name: self._test[name] for name in self._loaded}
        self._collect(batch, outputs, score_images(measured, self._loaded, images, target, mask))

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Logs ``val/psnr`` and so on, the same on every device."""
        for name, value in self._means(list(self._validation)).items():
            if name in self._validation:
                pl_module.log(f"val/{name}", value, prog_bar=name == "psnr", sync_dist=True)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Logs and keeps the means, and the table of all images."""
        means = self._means(list(self._loaded))
        for name, value in means.items():
            pl_module.log(f"test/{name}", float(value), sync_dist=True)
        images = trainer.datamodule.source("test").names  # type: ignore[attr-defined]
        self.scores.insert(0, "image", [images[index] for index in self.scores.index])
        self._explain(means)
        self.results = {name: value for name, value in means.items() if name not in self.notes}

    def _collect(self, batch: dict[str, Any], outputs: Tensor, rows: Tensor) -> None:
        finite = outputs.isfinite().flatten(1).all(1)
        self._collected.update(batch["index"], torch.cat((rows, finite[:, None].float()), dim=1))

    def _means(self, names: list[str]) -> dict[str, float | int]:
        indices, rows = self._collected.compute()
        self.scores = pd.DataFrame(rows[:, :-1], columns=names, index=indices.tolist())
        means = rows[:, :-1].mean(0, dtype="float64").tolist()  # NaN if one image has none
        return dict(zip(names, means, strict=True)) | {"nonfinite": int((rows[:, -1] == 0).sum())}

    def _explain(self, means: dict[str, float | int]) -> None:
        """Notes why a mean is missing."""
        for name in [name for name, value in means.items() if math.isnan(value)]:
            if means["nonfinite"]:
                self.notes[name] = f"{means['nonfinite']} of {len(self.scores)} outputs hold NaN or Inf"
            else:
                count = int(self.scores[name].isna().sum())
                self.notes[name] = f"undefined for {count} of {len(self.scores)} images: too small, or no valid pixel"


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
