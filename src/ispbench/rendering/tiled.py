"""One large image through a network, whole or in overlapping tiles whose seams are blended.

image = render(model.eval(), raw, tile=1024)
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise, product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ispbench.errors import UserError
from ispbench.models.interface import ISPModel


def render(
    model: ISPModel,
    raw: NDArray[np.float32],
    tile: int | None = None,
    overlap: int = 64,
    advance: Callable[[int], None] = lambda tiles: None,
) -> NDArray[np.uint8]:
    """Renders one image on the model's device.

    Args:
        model: In ``eval()``.
        raw: Canonical packed RAW, shape (4, h, w).
        tile: Side of the tiles in sensor pixels, even; None for the whole image at once.
        overlap: Of neighboring tiles in sensor pixels, even; there the one fades into the other.
        advance: Called after each tile with the number of tiles.

    Returns:
        sRGB, shape (2h, 2w, 3).

    Raises:
        UserError: if the memory does not suffice or the network gives NaN.
    """
    device = next((value.device for value in [*model.parameters(), *model.buffers()]), torch.device("cpu"))
    height, width = raw.shape[1:]
    side, margin = (max(height, width), 0) if tile is None else (tile // 2, overlap // 2)
    windows = list(product(_spans(height, side, margin), _spans(width, side, margin)))
    total = torch.zeros(3, 2 * height, 2 * width)
    weight = torch.zeros(2 * height, 2 * width)
    with torch.inference_mode(), _memory_watched():
        for (top, bottom), (left, right) in windows:
            part = torch.from_numpy(raw[None, :, top:bottom, left:right]).to(device)
            image = model(part)[0].float().cpu()
            if not image.isfinite().all():
                raise UserError("The network gives NaN or Inf; are these the right weights for this sensor?")
            fade = _fade(2 * top, 2 * bottom, 2 * height, 2 * margin)[:, None]
            fade = fade * _fade(2 * left, 2 * right, 2 * width, 2 * margin)
            place = (slice(2 * top, 2 * bottom), slice(2 * left, 2 * right))
            total[:, *place] += image * fade
            weight[place] += fade
            advance(len(windows))
    return (total / weight).mul_(255).round_().byte().permute(1, 2, 0).contiguous().numpy()


def _spans(length: int, side: int, margin: int) -> list[tuple[int, int]]:
    """Starts and ends of windows of equal length that cover an axis and overlap by `margin` at least."""
    if length <= side:
        return [(0, length)]
    count = -(-(length - margin) // (side - margin))
    starts = [round(number * (length - side) / (count - 1)) for number in range(count)]
    assert all(after - before <= side - margin for before, after in pairwise(starts))
    return [(start, start + side) for start in starts]


def _fade(start: int, end: int, length: int, margin: int) -> Tensor:
    """The weight of a window's pixels: 1, falling linearly over the margin at ends where another window follows."""
    weight = torch.ones(end - start)
    ramp = torch.arange(1, margin + 1) / (margin + 1)
    if margin and start > 0:
        weight[:margin] = ramp
    if margin and end < length:
        weight[-margin:] = torch.minimum(weight[-margin:], ramp.flip(0))
    return weight


@contextmanager
def _memory_watched() -> Iterator[None]:
    """Turns a failed allocation into advice."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        raise UserError("The memory does not suffice for this size; render in tiles: tile=1024, or less.") from error
