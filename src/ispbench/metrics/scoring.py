"""Scores images by the metrics of the table, each image on its own.

>>> import torch
>>> from ispbench.metrics.table import choose
>>> metrics = choose(["psnr", "ssim"])
>>> loaded, missing = load(metrics)
>>> image, target = torch.zeros(1, 3, 16, 16), torch.full((1, 3, 16, 16), 0.1)
>>> score_images(metrics, loaded, image, target).shape
torch.Size([1, 2])
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ispbench.errors import UserError
from ispbench.metrics.backbones import WeightsUnavailableError
from ispbench.metrics.quality import quantize
from ispbench.metrics.table import Metric, Score


def load(metrics: Mapping[str, Metric], device: torch.device | str = "cpu") -> tuple[dict[str, Score], dict[str, str]]:
    """The functions of some metrics, on a device.

    Returns:
        The functions by name, and for every metric whose weights cannot be had the reason.
    """
    loaded: dict[str, Score] = {}
    missing: dict[str, str] = {}
    for name, metric in metrics.items():
        try:
            function = metric.load()
        except WeightsUnavailableError as error:
            missing[name] = str(error)
        else:
            loaded[name] = function.to(device) if isinstance(function, nn.Module) else function
    return loaded, missing


@torch.no_grad()
def score_images(
    metrics: Mapping[str, Metric],
    loaded: Mapping[str, Score],
    images: Tensor,
    references: Tensor,
    mask: Tensor | None = None,
) -> Tensor:
    """Scores a batch of outputs.

    Outputs are clamped to [0, 1], and rounded to 8 bits for the metrics that want it.

    Args:
        metrics: As `ispbench.metrics.table.choose` returns them.
        loaded: Their functions, as `load` returns them.
        images: sRGB, shape (N, 3, H, W), as the model returned them.
        references: sRGB in [0, 1], of the same shape.
        mask: Pixels that count, shape (N, 1, H, W), 0 or 1; None for all.

    Returns:
        Shape (N, M), float32, a column a metric. NaN where an output holds NaN or Inf, and where a metric is not
        loaded, cannot leave pixels out although there is a mask, or is undefined, as for images that are too small.
    """
    images, references = images.float(), references.float()
    finite = images.isfinite().flatten(1).all(1)
    clamped = torch.nan_to_num(images).clamp(0, 1)
    saved = quantize(clamped)
    rows = images.new_full((len(images), len(metrics)), torch.nan)
    for column, (name, metric) in enumerate(metrics.items()):
        if name in loaded and (mask is None or metric.mask) and min(images.shape[-2:]) >= metric.smallest:
            rows[:, column] = score_each(metric, loaded[name], saved if metric.rounded else clamped, references, mask)
    rows[~finite] = torch.nan
    return rows


@torch.no_grad()
def score_each(
    metric: Metric, function: Score, images: Tensor, references: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Scores each image on its own, so that its value is bitwise the same in any batch.

    Args:
        metric: What the function takes.
        function: As `Metric.load` returns it.
        images: sRGB in [0, 1], shape (N, 3, H, W).
        references: Of the same shape.
        mask: Pixels that count, shape (N, 1, H, W); None for all.

    Returns:
        Shape (N,), float32.

    Raises:
        UserError: if the function does not return one value an image.
    """
    masks = [None] * len(images) if mask is None else mask.split(1)
    scores = []
    for image, reference, valid in zip(images.split(1), references.split(1), masks, strict=True):
        score = metric.score(function, image.contiguous(), reference.contiguous(), valid)
        if not isinstance(score, Tensor) or score.shape != (1,):
            returned = f"shape {tuple(score.shape)}" if isinstance(score, Tensor) else f"a {type(score).__name__}"
            raise UserError(
                f"The metric {metric.name} returned {returned} for one image; return a tensor of shape (N,)."
            )
        scores.append(score.float())
    return torch.cat(scores)
