"""The arithmetic of metrics: in float64 where the device has it, and with the same bits each time."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from ispbench.precision import full_precision


def widest(x: Tensor) -> torch.dtype:
    """Float64, or float32 on devices without it."""
    return torch.float32 if x.device.type == "mps" else torch.float64


def wants_gradient(*values: Tensor) -> bool:
    """Whether autograd records what is computed from some values."""
    return torch.is_grad_enabled() and any(value.requires_grad for value in values)


@contextmanager
def deterministic(x: Tensor) -> Iterator[None]:
    """Turns off autocast, TensorFloat-32 and nondeterministic cuDNN algorithms on the device of `x`."""
    with full_precision(x), torch.backends.cudnn.flags(deterministic=True, allow_tf32=False):
        yield
