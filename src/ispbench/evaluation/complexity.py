"""Parameters, multiply-accumulates and other operations of a model.

MACs are those of convolutions and matrix products, counted by torch's FlopCounterMode, whose FLOPs are twice the MACs.
What has no MACs is counted apart and named: FFTs, norms, elementwise operations. All on the meta device, so that even
the largest network costs no time.
"""

import copy
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from ispbench.models.interface import ISPModel
from ispbench.models.layers import LayerNorm2d
from ispbench.models.shortcuts import without_shortcuts

_NORMS = ("batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm")
_MOVES = {"clone", "_to_copy", "copy_", "copy", "detach", "fill_", "zero_", "lift_fresh"}  # of data, no arithmetic


@dataclass(frozen=True)
class Complexity:
    """The size of a model.

    Attributes:
        params: Parameters of the bare network.
        params_used: Those that its output depends on.
        gmacs: Multiply-accumulates of one image in convolutions and matrix products, in 1e9.
        gflops: Twice that: a multiplication and an addition each.
        fft_gflops: Of its FFTs, 5 N log2 N for N complex points and half of it for real ones, in 1e9.
        norm_gelements: Elements that pass its batch, instance, group or layer norms, in 1e9; one made of several
            operations, `LayerNorm2d`, counts as one norm.
        elementwise_gelements: Elements that elementwise operations put out, in 1e9.
        input: The packed RAW they were counted at, as ``4x224x224``.
        operations: The last three by the name of the operation, such as ``elementwise mul``.
    """

    params: int
    params_used: int
    gmacs: float
    gflops: float
    fft_gflops: float
    norm_gelements: float
    elementwise_gelements: float
    input: str
    operations: dict[str, float] = field(default_factory=dict)


def complexity(model: ISPModel, height: int = 448, width: int = 448) -> Complexity:
    """Counts a model at one Bayer image of the given height and width, without the shortcuts that it may take."""
    ghost = copy.deepcopy(model).to("meta").float().eval().requires_grad_()
    raw = torch.empty(1, 4, height // 2, width // 2, device="meta")
    with without_shortcuts(), FlopCounterMode(display=False) as counter, _Operations(ghost) as operations:
        image = ghost.forward_scales(raw)[0]
    parameters = list(ghost.net.parameters())
    used = parameters
    if image.requires_grad:
        gradients = torch.autograd.grad(image.sum(), parameters, allow_unused=True)
        used = [value for value, gradient in zip(parameters, gradients, strict=True) if gradient is not None]
    flops = counter.get_total_flops() / 1e9
    return Complexity(
        params=sum(value.numel() for value in parameters),
        params_used=sum(value.numel() for value in used),
        gmacs=flops / 2,
        gflops=flops,
        fft_gflops=operations.total("fft"),
        norm_gelements=operations.total("norm"),
        elementwise_gelements=operations.total("elementwise"),
        input=f"4x{height // 2}x{width // 2}",
        operations=dict(sorted(operations.counts.items())),
    )


class _Operations(TorchDispatchMode):
    """Counts what FlopCounterMode leaves out, in 1e9, by kind and name.

    Args:
        model: Its `LayerNorm2d` are counted as norms, and the operations inside them are not counted again.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.counts: dict[str, float] = defaultdict(float)
        self._inside_norm = False
        for module in model.modules():
            if isinstance(module, LayerNorm2d):
                module.register_forward_pre_hook(self._enter_norm)
                module.register_forward_hook(self._leave_norm)

    def total(self, kind: str) -> float:
        return sum(count for name, count in self.counts.items() if name.startswith(f"{kind} "))

    def _enter_norm(self, module: nn.Module, inputs: Any) -> None:
        self._inside_norm = True

    def _leave_norm(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self._inside_norm = False
        self.counts["norm layer_norm_2d"] += output.numel() / 1e9

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if self._inside_norm:
            return result
        name = func.overloadpacket.__name__
        first = result[0] if isinstance(result, tuple) else result
        if name.startswith("_fft_"):
            self.counts[f"fft {name.removeprefix('_')}"] += _fft_flops(args[0], first, args[1]) / 1e9
        elif any(norm in name for norm in _NORMS):
            self.counts[f"norm {name}"] += first.numel() / 1e9
        elif torch.Tag.pointwise in func.tags and name not in _MOVES and isinstance(first, Tensor):
            self.counts[f"elementwise {name.removesuffix('_')}"] += first.numel() / 1e9
        return result


def _fft_flops(source: Tensor, result: Tensor, dims: Sequence[int]) -> float:
    real = not (source.is_complex() and result.is_complex())
    whole = result if source.is_complex() else source  # a real side shows the full length
    points = math.prod(whole.shape[dim] for dim in dims)
    return (2.5 if real else 5.0) * whole.numel() * math.log2(max(points, 1))
