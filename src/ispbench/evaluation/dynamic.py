"""What dynamic weights are worth: the scores of a model with the weights it predicts, and with fixed ones."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ispbench.data.datamodule import PairedDataModule
from ispbench.errors import UserError
from ispbench.evaluation.evaluate import evaluate
from ispbench.models.dynamic import predictors, recorded, replaced
from ispbench.protocols.base import Protocol


@dataclass(frozen=True)
class DynamicGain:
    """What a probe found.

    Attributes:
        dynamic_gain_db: `psnr_live` minus `psnr_frozen`.
        psnr_live: Mean PSNR with the weights predicted for each image, in dB.
        psnr_frozen: With each predictor's weights at their mean over the images.
        psnr_uniform: With the same weight for every basis, the mean over images and bases.
        spread: Standard deviation of the weights over the images, averaged over bases and predictors.
        spread_by_predictor: The same for each predictor.
    """

    dynamic_gain_db: float
    psnr_live: float
    psnr_frozen: float
    psnr_uniform: float
    spread: float
    spread_by_predictor: dict[str, float]


def probe(
    model: nn.Module, data: PairedDataModule, protocol: Protocol | None = None, split: str = "test", **options: Any
) -> DynamicGain:
    """Scores a model with live, frozen and uniform weights.

    Every process of a ``torch.distributed`` group takes part, and each gets the whole result.

    Args:
        model: One with dynamic weights.
        data: The dataset.
        protocol: What outputs are compared with; None for the original targets.
        split: train, val or test.
        options: ``device``, ``precision``, ``limit`` and ``progress`` of `ispbench.evaluation.evaluate.evaluate`.

    Raises:
        UserError: if the model predicts no weights.
    """
    if not predictors(model):
        raise UserError("The model has no dynamic weights to probe.")
    with recorded(model) as weights:
        live = _psnr(model, data, protocol, split, options)
    return compare_with_fixed(model, weights, live, data, protocol, split, **options)


def compare_with_fixed(
    model: nn.Module,
    weights: Sequence[Sequence[Tensor]],
    live: float,
    data: PairedDataModule,
    protocol: Protocol | None = None,
    split: str = "test",
    **options: Any,
) -> DynamicGain:
    """Scores a model with frozen and uniform weights; see `probe`.

    Args:
        model: One with dynamic weights.
        weights: What its predictors gave, see `ispbench.models.dynamic.recorded`.
        live: Mean PSNR with them, in dB.
        data: The dataset.
        protocol: What outputs are compared with; None for the original targets.
        split: train, val or test.
        options: As in `probe`.
    """
    chosen = predictors(model)
    names = [name for name, module in model.named_modules() if module in chosen]
    means, spreads = zip(*(_moments(torch.cat(list(values)).float()) for values in weights), strict=True)
    with replaced(model, means):
        frozen = _psnr(model, data, protocol, split, options)
    with replaced(model, [mean.mean().expand_as(mean) for mean in means]):
        uniform = _psnr(model, data, protocol, split, options)
    return DynamicGain(
        dynamic_gain_db=live - frozen,
        psnr_live=live,
        psnr_frozen=frozen,
        psnr_uniform=uniform,
        spread=sum(spreads) / len(spreads),
        spread_by_predictor=dict(zip(names, spreads, strict=True)),
    )


def _psnr(
    model: nn.Module, data: PairedDataModule, protocol: Protocol | None, split: str, options: Mapping[str, Any]
) -> float:
    """NaN where an output has none."""
    return evaluate(model, data, protocol, split, ["psnr"], **options).summary.get("psnr", math.nan)


def _moments(weights: Tensor) -> tuple[Tensor, float]:
    """Mean, shape (N,), and standard deviation over the images of all processes, averaged over the bases."""
    sums = torch.stack((torch.ones_like(weights), weights, weights**2)).double().sum(1)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(sums)
    mean = sums[1] / sums[0]
    variance = (sums[2] / sums[0] - mean**2).clamp_min(0)
    return mean.float(), float(variance.sqrt().mean())
