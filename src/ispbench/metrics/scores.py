"""Scores by name, computed image by image and collected so that each image counts once."""

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from ispbench.errors import UserError
from ispbench.metrics.color import ciede2000
from ispbench.metrics.quality import ms_ssim, psnr, psnr_channel, psnr_luminance, quantise, ssim, ssim_sample

Function = Callable[[Tensor, Tensor, Tensor | None], Tensor]


class Score(NamedTuple):
    """A score of an image against a reference: its function, and whether more of it is better."""

    function: Function
    higher_is_better: bool


# What `metrics.quality.scores` chooses from; docs/rules.md defines each.
SCORES = MappingProxyType(
    {
        "psnr": Score(psnr, True),
        "ssim": Score(ssim, True),
        "ssim_sample": Score(ssim_sample, True),
        "ms_ssim": Score(ms_ssim, True),
        "psnr_channel": Score(psnr_channel, True),
        "psnr_luminance": Score(psnr_luminance, True),
        "ciede2000": Score(ciede2000, False),
    }
)


def choose(names: Sequence[str], setting: str) -> dict[str, Function]:
    """The functions of some scores.

    Args:
        names: Of the scores.
        setting: The configuration key that holds the names, for the error.

    Raises:
        UserError: for an unknown name.
    """
    unknown = [name for name in names if name not in SCORES]
    if unknown:
        raise UserError(f"{setting} has no score {', '.join(unknown)}; choose of {', '.join(SCORES)}.")
    return {name: SCORES[name].function for name in names}


@torch.no_grad()
def score_each(function: Function, images: Tensor, references: Tensor, mask: Tensor | None = None) -> Tensor:
    """Scores each image on its own, so that its value is bitwise the same in any batch.

    Args:
        function: Of `SCORES`, or an `ispbench.metrics.quality.LPIPS`.
        images: sRGB in [0, 1], shape (N, 3, H, W).
        references: Of the same shape.
        mask: Pixels that count, shape (N, 1, H, W); None for all.

    Returns:
        Shape (N,), float32.
    """
    masks = [None] * len(images) if mask is None else mask.split(1)
    triples = zip(images.split(1), references.split(1), masks, strict=True)
    return torch.cat([function(x.contiguous(), y.contiguous(), valid) for x, y, valid in triples])


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


class ImageMetric(ImageScores):
    """A score as a torchmetrics ``Metric``: the mean over images, each counted once, on however many devices.

        >>> metric = PSNR()
        >>> metric.update(torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 0.1), torch.tensor([0]))
        >>> float(metric.compute())
        20.0

    Args:
        rounded: Whether images are rounded to 8 bits before they are scored, as the rules want it.
    """

    name: str
    is_differentiable = False

    def __init__(self, rounded: bool = True) -> None:
        super().__init__()
        self.rounded = rounded

    def update(  # type: ignore[override]
        self, images: Tensor, references: Tensor, indices: Tensor, mask: Tensor | None = None
    ) -> None:
        """Adds images.

        Args:
            images: sRGB, shape (N, 3, H, W); clamped to [0, 1].
            references: sRGB in [0, 1], of the same shape.
            indices: The image's place in the set, shape (N,); a repeated one counts once.
            mask: Pixels that count, shape (N, 1, H, W); None for all.
        """
        images = quantise(images) if self.rounded else images.float().clamp(0, 1)
        super().update(indices, score_each(self.function, images, references.float(), mask)[:, None])

    def compute(self) -> Tensor:  # type: ignore[override]
        """The mean over images, a float64 scalar; NaN if an image has none."""
        return super().compute()[1].double().mean()

    @property
    def function(self) -> Function:
        """The function that scores a batch."""
        return SCORES[self.name].function


class PSNR(ImageMetric):
    """Mean of `quality.psnr`."""

    name, higher_is_better = "psnr", True


class SSIM(ImageMetric):
    """Mean of `quality.ssim`.

    Args:
        covariance: ``population`` or ``sample``.
        rounded: See `ImageMetric`.
    """

    higher_is_better = True

    def __init__(self, covariance: str = "population", rounded: bool = True) -> None:
        super().__init__(rounded)
        if covariance not in ("population", "sample"):
            raise ValueError(f"the covariance of SSIM is population or sample, not {covariance!r}")
        self.name = "ssim" if covariance == "population" else "ssim_sample"


class MSSSIM(ImageMetric):
    """Mean of `quality.ms_ssim`."""

    name, higher_is_better = "ms_ssim", True


class CIEDE2000(ImageMetric):
    """Mean of `colour.ciede2000`."""

    name, higher_is_better = "ciede2000", False


class LPIPSMetric(ImageMetric):
    """Mean of `quality.LPIPS`.

    Args:
        network: ``alex`` or ``vgg``.
        weights: File of the backbone's ImageNet weights; null to search for them.
        rounded: See `ImageMetric`.
    """

    name, higher_is_better = "lpips", False

    def __init__(self, network: str = "alex", weights: str | None = None, rounded: bool = True) -> None:
        from ispbench.metrics.quality import LPIPS

        super().__init__(rounded)
        self.distance = LPIPS(network, weights)

    @property
    def function(self) -> Function:
        """The network."""
        return self.distance
