"""An exported file beside the PyTorch model, on real test images: how far apart they are, and what that costs."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ispbench.data.datamodule import PairedDataModule
from ispbench.evaluation.evaluate import score_outputs
from ispbench.protocols.base import Protocol

SCORES = ("psnr", "ssim", "ciede2000")
Renderer = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Tolerance:
    """How far an exported file may be from PyTorch.

    Attributes:
        max_error: Of a value of the image in [0, 1].
        psnr: To PyTorch's images, at least, in dB.
        psnr_loss: Of the protocol's PSNR, at most, in dB.
        ssim_loss: Of the protocol's SSIM, at most.
        ciede2000_rise: Of the protocol's CIEDE2000, at most.
    """

    max_error: float
    psnr: float
    psnr_loss: float
    ssim_loss: float
    ciede2000_rise: float


# By precision, the same for all formats: fp32 differs by less than a step of 8 bits, fp16 invisibly, int8 a little.
TOLERANCES = MappingProxyType(
    {
        "fp32": Tolerance(1 / 255, 80.0, 0.01, 0.0005, 0.01),
        "fp16": Tolerance(0.05, 50.0, 0.05, 0.002, 0.05),
        "int8": Tolerance(0.5, 30.0, 0.5, 0.02, 0.5),
    }
)


@dataclass(frozen=True)
class Comparison:
    """What the images say.

    Attributes:
        images: The names of the test images.
        max_error: The largest difference of a value to PyTorch's images; NaN if an output is not finite.
        psnr: To PyTorch's images, over all of their values, in dB.
        before: The protocol's scores of PyTorch.
        after: Those of the exported file.
        protocol: Its full name.
        failures: What is beyond tolerance, a sentence each; none if the file passes.
        tolerance: What was allowed.
    """

    images: list[str]
    max_error: float
    psnr: float
    before: dict[str, float]
    after: dict[str, float]
    protocol: str
    failures: list[str] = field(default_factory=list)
    tolerance: dict[str, float] = field(default_factory=dict)

    def about(self) -> dict[str, Any]:
        """All of it, as plain values."""
        return asdict(self)


def compare(
    reference: Renderer,
    exported: Renderer,
    data: PairedDataModule,
    protocol: Protocol,
    tolerance: Tolerance,
    limit: int | None,
    progress: bool = True,
) -> Comparison:
    """Renders test images with both, and scores both.

    Args:
        reference: PyTorch in float32: packed RAW, shape (N, 4, h, w), to sRGB, both canonical.
        exported: The file, likewise.
        data: The dataset.
        protocol: What both are scored under.
        tolerance: What is allowed.
        limit: How many test images; None for all.
        progress: Whether progress bars are shown.

    Raises:
        UserError: for unreadable pairs.
    """
    largest, squares, values = 0.0, 0.0, 0

    def watch(image: Tensor, batch: Mapping[str, Any]) -> None:
        nonlocal largest, squares, values
        difference = (image - reference(batch["raw"])).abs()
        largest = float(np.maximum(largest, float(difference.max())))  # keeps NaN
        squares += float(difference.double().square().sum())
        values += difference.numel()

    def score(render: Renderer, *observers: Callable[[Tensor, dict[str, Any]], None]) -> Any:
        return score_outputs(
            lambda batch: render(batch["raw"]),
            data,
            protocol,
            "test",
            SCORES,
            torch.device("cpu"),
            limit,
            progress,
            observers,
        )

    before, after = score(reference), score(exported, watch)
    mse = squares / values
    comparison = Comparison(
        images=[str(name) for name in after.scores["image"]],
        max_error=largest,
        psnr=float(-10 * np.log10(mse)) if mse else float("inf"),
        before=_scores(before.summary),
        after=_scores(after.summary),
        protocol=after.protocol,
        tolerance=asdict(tolerance),
    )
    comparison.failures.extend(_failures(comparison, tolerance))
    return comparison


def _scores(summary: Mapping[str, float]) -> dict[str, float]:
    return {name: float(summary.get(name, float("nan"))) for name in SCORES}


def _failures(found: Comparison, allowed: Tolerance) -> list[str]:
    """Each limit that is exceeded; a number that is missing exceeds it."""
    loss = {name: found.before[name] - found.after[name] for name in SCORES}
    checks = (
        (found.max_error <= allowed.max_error, f"the largest error is {found.max_error:.2g} > {allowed.max_error:.2g}"),
        (found.psnr >= allowed.psnr, f"PSNR to PyTorch is {found.psnr:.1f} dB < {allowed.psnr:g} dB"),
        (loss["psnr"] <= allowed.psnr_loss, f"PSNR falls by {loss['psnr']:.3f} dB > {allowed.psnr_loss:g} dB"),
        (loss["ssim"] <= allowed.ssim_loss, f"SSIM falls by {loss['ssim']:.4f} > {allowed.ssim_loss:g}"),
        (
            -loss["ciede2000"] <= allowed.ciede2000_rise,
            f"CIEDE2000 rises by {-loss['ciede2000']:.3f} > {allowed.ciede2000_rise:g}",
        ),
    )
    return [sentence for passed, sentence in checks if not passed]
