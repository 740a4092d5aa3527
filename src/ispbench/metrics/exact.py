"""Float32 that is float32: neither autocast nor TensorFloat-32, and no search for the fastest algorithm."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from ispbench.precision import full_precision


@contextmanager
def exact_float32(x: Tensor) -> Iterator[None]:
    """Computes in whole float32 and by the same algorithm each time, on the device of `x`."""
    with full_precision(x), torch.backends.cudnn.flags(deterministic=True, allow_tf32=False):
        yield
