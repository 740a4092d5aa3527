"""Parameters and multiply-accumulates of a model.

MACs are counted by torch's FlopCounterMode (convolutions and matrix products; its FLOPs are twice the MACs) on the meta
device, so that even the largest network costs no time.
"""

import copy
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from ispbench.models.interface import ISPModel


@dataclass(frozen=True)
class Complexity:
    """The size of a model.

    Attributes:
        params: Parameters of the bare network.
        params_used: Those that its output depends on.
        gmacs: Multiply-accumulates of one image, in 1e9.
        input: The packed RAW they were counted at, as ``4x224x224``.
    """

    params: int
    params_used: int
    gmacs: float
    input: str


def complexity(model: ISPModel, height: int = 448, width: int = 448) -> Complexity:
    """Counts a model at one Bayer image of the given height and width."""
    ghost = copy.deepcopy(model).to("meta").float().eval().requires_grad_()
    raw = torch.empty(1, 4, height // 2, width // 2, device="meta")
    with FlopCounterMode(display=False) as counter:
        image = ghost.forward_scales(raw)[0]
    parameters = list(ghost.net.parameters())
    used = parameters
    if image.requires_grad:
        gradients = torch.autograd.grad(image.sum(), parameters, allow_unused=True)
        used = [value for value, gradient in zip(parameters, gradients, strict=True) if gradient is not None]
    return Complexity(
        params=sum(value.numel() for value in parameters),
        params_used=sum(value.numel() for value in used),
        gmacs=counter.get_total_flops() / 2e9,
        input=f"4x{height // 2}x{width // 2}",
    )
