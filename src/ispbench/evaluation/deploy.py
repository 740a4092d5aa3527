"""Re-parameterized networks in the form in which they are used: training branches merged into single convolutions."""

from typing import Any

import torch
from torch import nn

from ispbench.models.interface import ISPModel
from ispbench.precision import full_precision

TOLERANCE = 1e-4  # largest difference of a pixel, relative to the largest value of the image
_SIDE = 64


def merge_branches(model: nn.Module) -> float | None:
    """Merges the branches of every part that has ``deploy()``, and checks that the model still renders the same.

    Args:
        model: In ``eval()``.

    Returns:
        The largest difference of a pixel, relative to the largest value of the image; None if nothing can be merged.

    Raises:
        RuntimeError: if the merged network renders another image.
    """
    parts: list[Any] = [
        part
        for part in model.modules()
        if isinstance(part, ISPModel) and hasattr(part, "deploy") and not getattr(part.net, "deployed", False)
    ]
    if not parts:
        return None
    first = next(model.parameters())
    generator = torch.Generator().manual_seed(0)
    raw = torch.rand(1, 4, _SIDE, _SIDE, generator=generator).to(first.device)
    with torch.no_grad(), full_precision(raw):
        before = model(raw)
        for part in parts:
            part.deploy()
        after = model(raw)
    difference = float((before - after).abs().max() / before.abs().max().clamp_min(1e-6))
    if not difference <= TOLERANCE:
        raise RuntimeError(f"deploy() changes the image by {difference:.2g}, more than {TOLERANCE:.2g}")
    return difference
