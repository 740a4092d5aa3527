"""One photo through a network, as a whole whatever its size.

image = render(model.eval(), raw, scratch=Path("/tmp"))
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ispbench.errors import UserError
from ispbench.files import free_space
from ispbench.models.interface import ISPModel
from ispbench.rendering.demand import demand_of
from ispbench.rendering.scratch import Scratch
from ispbench.rendering.streamed import Streamed

_LEAST = 8 * 2**20  # bytes of a tensor that goes to a scratch file
_NEVER = 2**63
_GIB = 2**30
_STRIP = 256  # rows of the image that are rounded at a time


def render(
    model: ISPModel,
    raw: NDArray[np.float32],
    scratch: Path,
    bits: int = 8,
    memory: int = 2 * 2**30,
    advance: Callable[[float], None] = lambda share: None,
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Renders one image on the model's device.

    On a CPU the memory is bounded: where `memory` does not suffice, each operation works through its input in pieces
    and leaves its result in a scratch file. The image is the same up to rounding, whatever the network looks at.

    Args:
        model: In ``eval()``.
        raw: Canonical packed RAW, shape (4, h, w).
        scratch: Folder of the scratch files.
        bits: Of a value, 8 or 16.
        memory: Bytes beyond the model and the RAW that the forward pass may take on a CPU.
        advance: Called with the share of the work that was just done; the shares add up to about 1.

    Returns:
        sRGB, shape (2h, 2w, 3).

    Raises:
        UserError: if memory or disk do not suffice or the network gives NaN.
    """
    device = next((value.device for value in [*model.parameters(), *model.buffers()]), torch.device("cpu"))
    demand = demand_of(model, *raw.shape[1:])
    # Convolutions keep copies of their input and output in an order of their own.
    fits = demand is not None and demand.peak + 2 * demand.largest <= memory
    streams = device.type == "cpu" and not fits
    if demand is not None and streams:
        _check_disk(scratch, demand.peak)
    files = Scratch(scratch, _LEAST if streams else _NEVER)
    total = demand.work if demand is not None else 0
    mode = Streamed(files, (lambda size: advance(size / total)) if total else (lambda size: None))
    with torch.no_grad(), _memory_watched():
        with mode:
            image = model(torch.from_numpy(raw)[None].to(device))[0]
        return _rounded(image, bits, files)


def _rounded(image: Tensor, bits: int, files: Scratch) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Whole numbers of an image in [0, 1], shape (3, H, W) to (H, W, 3)."""
    height, width = image.shape[1:]
    rounded = np.empty((height, width, 3), np.uint8 if bits == 8 else np.uint16)
    for top in range(0, height, _STRIP):
        strip = image[:, top : top + _STRIP].float().cpu()
        files.touch(strip.nbytes)
        if not strip.isfinite().all():
            raise UserError("The network gives NaN or Inf; are these the right weights for this sensor?")
        rounded[top : top + _STRIP] = strip.mul(2**bits - 1).round_().permute(1, 2, 0).numpy()
    return rounded


def _check_disk(folder: Path, needed: int) -> None:
    """Refuses at once what the disk has no room for."""
    free, _ = free_space(folder)
    if needed > free:
        raise UserError(
            f"This photo needs {needed / _GIB:.1f} GiB of scratch space in {folder}, which has {free / _GIB:.1f} GiB "
            "left; free some space, set paths.cache to a folder on a larger disk, or give it more memory=."
        )


@contextmanager
def _memory_watched() -> Iterator[None]:
    """Turns a failed allocation into advice."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        raise UserError(
            "The memory does not suffice for this photo; set device=cpu, and memory= to fewer GiB."
        ) from error
