"""Scoring any model on any split under any protocol.

``docs/rules.md`` defines what is scored. Nothing here needs a training, a run folder or a Hydra job.
"""

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ispbench.config import compose
from ispbench.data.datamodule import SPLITS, PairedDataModule
from ispbench.errors import UserError
from ispbench.metrics.collection import ImageScores
from ispbench.metrics.quality import quantize
from ispbench.metrics.scoring import load, score_images
from ispbench.metrics.table import Metric, Score, choose
from ispbench.models.interface import ISPModel
from ispbench.protocols.base import Protocol
from ispbench.protocols.original import OriginalGT

if TYPE_CHECKING:
    import pandas as pd

PRECISIONS = {"32-true": None, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}

Batch = dict[str, Any]
Renderer = Callable[[Batch], Tensor]
Observer = Callable[[Tensor, Batch], None]


@dataclass
class Result:
    """What an evaluation found.

    Attributes:
        scores: One row an image: ``image``, its name, what the dataset knows of it besides, such as ``camera``, and a
            column for each metric; NaN where it has no score.
        summary: The mean of each metric over the images, and ``nonfinite``, how many outputs held NaN or Inf. A metric
            without a mean is left out, and `notes` says why.
        notes: The reason for each missing mean.
        protocol: What the scores are of and against, such as ``zrr-v1/original-gt``.
        split: train, val or test.
        metrics: The metrics that were asked for.
        data: What the dataset and the protocol say of themselves: fingerprint, number of images.
        by: The means by what the dataset knows of its images, such as ``by["camera"]["imx378"]["psnr"]``, each with
            ``n_images``; empty where it knows nothing.
    """

    scores: "pd.DataFrame"
    summary: dict[str, float | int]
    notes: dict[str, str]
    protocol: str
    split: str
    metrics: dict[str, Metric] = field(repr=False)
    data: dict[str, Any] = field(default_factory=dict, repr=False)
    by: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict, repr=False)


def evaluate(
    model: nn.Module | Callable[[Tensor], Tensor],
    data: PairedDataModule,
    protocol: Protocol | None = None,
    split: str = "test",
    metrics: Sequence[str] | Mapping[str, Metric] | None = None,
    *,
    device: str | torch.device | None = None,
    precision: str = "32-true",
    limit: int | None = None,
    progress: bool = True,
    observers: Iterable[Observer] = (),
) -> Result:
    """Scores a model.

    Inside an initialized ``torch.distributed`` group the processes share the images, and each gets the whole result.

    Args:
        model: An `ISPModel`, or any module or function from canonical packed RAW, shape (N, 4, h, w), to sRGB, shape
            (N, 3, 2h, 2w). A module is moved to the device, and put into ``eval()`` for the time of the call.
        data: The dataset.
        protocol: What outputs are compared with; None for the original targets.
        split: train, val or test.
        metrics: Names of ``ispbench.metrics.table.TABLE``, or entries by name; None for the default ones.
        device: None for the device of the module's parameters if that is not the CPU, else the best there is.
        precision: ``32-true``, or ``bf16-mixed`` or ``16-mixed`` for autocast. Scores are always float32.
        limit: Score only the first images; None for all.
        progress: Whether a progress bar is shown.
        observers: Called with the outputs, sRGB, shape (N, 3, H, W), and the canonical batch of each step.

    Raises:
        UserError: for an unknown split, metric or precision, unreadable pairs, or outputs of another shape.
    """
    place = _device(model, device)
    training = isinstance(model, nn.Module) and model.training
    if isinstance(model, nn.Module):
        model.eval().to(place)
    if isinstance(model, ISPModel):
        model.set_levels(data.black_level, data.white_level)
    try:
        with _autocast(precision, place):
            pass  # an unknown precision is told before anything is loaded

        def render(batch: Batch) -> Tensor:
            with _autocast(precision, place):
                return model(batch["raw"])

        return score_outputs(render, data, protocol, split, metrics, place, limit, progress, observers)
    finally:
        if isinstance(model, nn.Module):
            model.train(training)


@torch.inference_mode()
def score_outputs(
    render: Renderer,
    data: PairedDataModule,
    protocol: Protocol | None = None,
    split: str = "test",
    metrics: Sequence[str] | Mapping[str, Metric] | None = None,
    device: torch.device | None = None,
    limit: int | None = None,
    progress: bool = True,
    observers: Iterable[Observer] = (),
) -> Result:
    """Scores what a function makes of each batch; see `evaluate`, which renders by a model."""
    import pandas as pd

    if split not in SPLITS:
        raise UserError(f"split={split} is unknown; choose one of {', '.join(SPLITS)}.")
    protocol = OriginalGT() if protocol is None else protocol
    device = torch.device("cpu") if device is None else device
    chosen = dict(metrics) if isinstance(metrics, Mapping) else choose(_default() if metrics is None else metrics)
    loaded, notes = load(chosen, device)
    for name, reason in notes.items():
        warnings.warn(f"{chosen[name].label} is left out: {reason}", stacklevel=2)
    names = data.source(split).names
    if not len(names):
        raise UserError(f"The {split} split of {data.version} has no pairs; run: ispbench data check")
    with torch.inference_mode(False):  # a protocol may fit what it needs
        extra = protocol.prepare(data, split)
    rank, world_size = _process()
    table = ImageScores().to(device)
    loader = data.evaluation_loader(split, rank, world_size, limit)
    for batch in _track(loader, f"Scoring {data.version}", progress and rank == 0):
        batch = data.to_canonical(_to(batch, device))
        images = _checked(render(batch), batch)
        for observe in observers:
            observe(images, batch)
        table.update(batch["index"], _score(images, batch, protocol, chosen, loaded))
    indices, rows = table.compute()
    scores = pd.DataFrame(rows[:, :-1], columns=list(chosen))
    scores.insert(0, "image", [names[int(index)] for index in indices])
    summary = _means(scores, rows, chosen, notes)
    for place, (column, values) in enumerate(data.source(split).columns.items(), start=1):
        scores.insert(place, column, [values[int(index)] for index in indices])
    by = {column: _means_by(scores, column, list(chosen)) for column in data.source(split).columns}
    about = {"fingerprint": data.source(split).fingerprint[:16], "n_images": len(scores), **extra}
    return Result(scores, summary, notes, protocol.full_name(data), split, chosen, about, by)


def _score(
    images: Tensor, batch: Batch, protocol: Protocol, metrics: Mapping[str, Metric], loaded: Mapping[str, Score]
) -> Tensor:
    """One row of scores an image, and at its end whether the output was finite; shape (N, metrics + 1)."""
    finite = images.isfinite().flatten(1).all(1)
    target, mask, premultiplied_mask = protocol.reference(quantize(torch.nan_to_num(images)), batch)
    if premultiplied_mask is not None:
        images = images * premultiplied_mask
    rows = score_images(metrics, loaded, images, target, mask)
    return torch.cat((rows, finite[:, None].to(rows)), dim=1)


def _default() -> list[str]:
    """The metrics of ``metrics=default``."""
    return list(compose().metrics.scores)


def _means(
    scores: "pd.DataFrame", rows: NDArray[np.float32], metrics: Mapping[str, Metric], notes: dict[str, str]
) -> dict[str, float | int]:
    """The mean of each score, in float64; one without is explained in the notes instead."""
    nonfinite = int((rows[:, -1] == 0).sum())
    summary: dict[str, float | int] = {}
    for name, value in zip(metrics, rows[:, :-1].mean(0, dtype=np.float64).tolist(), strict=True):
        if not math.isnan(value):
            summary[name] = value
        elif nonfinite:
            notes.setdefault(name, f"{nonfinite} of {len(scores)} outputs hold NaN or Inf")
        else:
            missing = int(scores[name].isna().sum())
            reason = f"undefined for {missing} of {len(scores)} images: too small, no valid pixel, or a mask"
            notes.setdefault(name, reason)
    return summary | {"nonfinite": nonfinite}


def _means_by(scores: "pd.DataFrame", column: str, metrics: list[str]) -> dict[str, dict[str, float]]:
    """The means over the images of each value of a column; a metric without a mean is left out."""
    found: dict[str, dict[str, float]] = {}
    for value, rows in scores.groupby(column, sort=False):
        means = rows[metrics].astype(float).mean(skipna=False).dropna()
        found[str(value)] = {"n_images": len(rows), **{str(name): float(mean) for name, mean in means.items()}}
    return found


def _checked(images: Any, batch: Batch) -> Tensor:
    """The outputs in float32 at the target's size; a coarse level of a pyramid network is upsampled.

    Raises:
        UserError: for outputs that are no images of the batch.
    """
    target = batch["target"]
    if not isinstance(images, Tensor) or images.dim() != 4 or images.shape[:2] != target.shape[:2]:
        got = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise UserError(
            f"The model returned {got} for RAW of shape {tuple(batch['raw'].shape)}; it must return sRGB of shape "
            f"{tuple(target.shape)}."
        )
    images, size = images.float(), target.shape[-2:]
    return images if images.shape[-2:] == size else F.interpolate(images, size, mode="bilinear", align_corners=False)


def _device(model: Any, device: str | torch.device | None) -> torch.device:
    if device is not None:
        return torch.device(device)
    first = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    if first is not None and first.device.type != "cpu":
        return first.device
    return best_device()


def best_device() -> torch.device:
    """This process's accelerator, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    if precision not in PRECISIONS:
        raise UserError(f"precision={precision} is unknown; choose one of {', '.join(PRECISIONS)}.")
    kind = PRECISIONS[precision]
    return nullcontext() if kind is None else torch.autocast(device.type, kind)


def _process() -> tuple[int, int]:
    """Rank and number of the processes that share this evaluation."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def _to(batch: Batch, device: torch.device) -> Batch:
    return {
        key: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value for key, value in batch.items()
    }


def _track(loader: Any, title: str, shown: bool) -> Iterable[Any]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import track

    return track(loader, escape(title), transient=True, disable=not shown, console=Console(stderr=True))
