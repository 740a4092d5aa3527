"""Convolutions that train as bundles of linear branches and are merged into one for use."""

from collections.abc import Sequence
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# The branches of a convolution of size 5, 3 and 1 in SYENet and MobileIE: their names and kernels (high, wide).
BRANCHES = MappingProxyType(
    {
        5: {"conv": (5, 5), "conv1": (1, 1), "conv2": (3, 3), "conv_crossh": (3, 1), "conv_crossv": (1, 3)},
        3: {"conv": (3, 3), "conv1": (1, 1), "conv_crossh": (3, 1), "conv_crossv": (1, 3)},
        1: {"conv": (1, 1)},
    }
)

Branch = tuple[nn.Conv2d, nn.BatchNorm2d | None]


@torch.no_grad()
def merge(branches: Sequence[Branch], mix: nn.Conv2d, kernel_size: int, gain: float = 1.0) -> nn.Conv2d:
    """The single convolution equal in ``eval()`` to branches side by side and a 1x1 convolution that mixes them.

    Args:
        branches: Convolutions of one input, each with its batch norm or none, in the order in which their outputs are
            concatenated. They pad with zeros, so that the merged one is exact at the borders too.
        mix: The 1x1 convolution of the concatenated outputs.
        kernel_size: Of the result.
        gain: The result computes this many times the sum.
    """
    kernels, biases = zip(*(_folded(conv, norm, kernel_size) for conv, norm in branches), strict=True)
    matrix = gain * mix.weight.double().flatten(1)
    weight = torch.einsum("om,mihw->oihw", matrix, torch.cat(kernels))
    assert mix.bias is not None
    bias = matrix @ torch.cat(biases) + gain * mix.bias.double()
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], kernel_size, padding=kernel_size // 2)
    conv.weight = nn.Parameter(weight.to(mix.weight.dtype))
    conv.bias = nn.Parameter(bias.to(mix.weight.dtype))
    return conv.train(mix.training)


def _folded(conv: nn.Conv2d, norm: nn.BatchNorm2d | None, kernel_size: int) -> tuple[Tensor, Tensor]:
    """Kernel and bias in double precision, the batch norm folded in, the kernel padded to the full size."""
    assert conv.bias is not None
    weight, bias = conv.weight.double(), conv.bias.double()
    if norm is not None:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight.double() * torch.rsqrt(norm.running_var.double() + norm.eps)
        weight = weight * scale.view(-1, 1, 1, 1)
        bias = (bias - norm.running_mean.double()) * scale + norm.bias.double()
    pad_high, pad_wide = ((kernel_size - size) // 2 for size in conv.kernel_size)
    return F.pad(weight, (pad_wide, pad_wide, pad_high, pad_high)), bias
