"""What is exported of a model: RAW of a size that fits the network in, the clamped image out."""

import copy

import torch
from torch import Tensor, nn

from ispbench.errors import UserError
from ispbench.models.interface import ISPModel
from ispbench.models.shortcuts import without_shortcuts
from ispbench.raw.levels import normalize_raw


class Graph(nn.Module):
    """A model without padding, in ``eval()``, on the CPU; the model itself is not changed.

    Args:
        model: With its weights and levels, its branches merged.
        levels_inside: Whether the input is in DN, and black and white level are constants of the graph; else it is
            canonical RAW.
        half: Whether weights and activations are float16; input and output are float32 all the same.
    """

    def __init__(self, model: ISPModel, levels_inside: bool = False, half: bool = False) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).cpu().eval().requires_grad_(False)
        self.levels_inside = levels_inside
        self.half_precision = half
        if half:
            self.model.half()
        self.eval()

    def forward(self, raw: Tensor) -> Tensor:
        """Renders the image.

        Args:
            raw: Packed RAW, shape (N, 4, h, w), h and w as `check_size` wants them.

        Returns:
            sRGB in [0, 1], shape (N, 3, 2h, 2w), float32.
        """
        if self.levels_inside:
            raw = normalize_raw(raw, self.model.black_level, self.model.white_level)
        if self.half_precision:
            raw = raw.half()
        with without_shortcuts():  # whose kernels are computed from the input, which few runtimes take
            outputs = self.model.net(*self.model.net_inputs(raw))
        image = outputs if isinstance(outputs, Tensor) else outputs[0]
        return image.float().clamp(0, 1)

    def example(self, height: int, width: int) -> Tensor:
        """A made-up input for a Bayer image of the given size."""
        raw = torch.rand(1, 4, height // 2, width // 2, generator=torch.Generator().manual_seed(0))
        black, white = self.model.black_level, self.model.white_level
        return raw * (white - black) + black if self.levels_inside else raw


def check_size(model: ISPModel, height: int, width: int) -> None:
    """Refuses a Bayer image that the network would have to pad.

    Raises:
        UserError: naming the next size that fits.
    """
    wanted = fitting_size(model, height, width)
    if wanted != (height, width):
        raise UserError(
            f"The network takes Bayer images whose sides are multiples of {divisor(model)}, at least "
            f"{2 * model.minimum}, not {height}x{width}; set size={wanted[0]}x{wanted[1]}."
        )


def fitting_size(model: ISPModel, height: int, width: int) -> tuple[int, int]:
    """The smallest size that fits the network and holds a Bayer image of the given one."""
    step, least = divisor(model), 2 * model.minimum
    return max(-(-height // step) * step, least), max(-(-width // step) * step, least)


def divisor(model: ISPModel) -> int:
    """What height and width of the Bayer image are multiples of."""
    return 2 * model.multiple


def knows_levels(model: ISPModel) -> bool:
    """Whether the network's own inputs depend on the sensor's levels, which are then constants of the graph."""
    raw = torch.full((1, 4, max(model.minimum, model.multiple, 2), max(model.minimum, model.multiple, 2)), 0.5)
    other = copy.deepcopy(model).cpu()
    before = other.net_inputs(raw)
    other.set_levels(model.black_level / 2 + 1, 2 * model.white_level)
    return any(not torch.equal(a, b) for a, b in zip(before, other.net_inputs(raw), strict=True))
