"""Ensembles for evaluation: the mean over flips and rotations of one model, and the mean of several models.

Both cost one pass per averaged image, and their scores are not comparable with those of a single pass. The challenge
entries AWNet and MW-ISPNet (AIM 2020) were such ensembles.

    >>> import torch
    >>> from ispbench.models.build import build_model
    >>> model = SelfEnsemble(build_model("metaisp")).eval()
    >>> model(torch.rand(1, 4, 16, 24)).shape
    torch.Size([1, 3, 32, 48])
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispbench.errors import UserError
from ispbench.models.interface import ISPModel

MODES = ("planes", "phase")


class SelfEnsemble(ISPModel):
    """The mean over the eight flips and rotations of the RAW, each rendered and transformed back.

    A mirrored Bayer mosaic has another CFA phase: RGGB becomes GRBG from left to right. A network knows one phase, so
    there are two ways:

    ``planes``
        Each packed plane is flipped as an image of its own and keeps its channel, as in the challenge entries. The
        network still finds red in the red channel, but the planes are shifted against each other by up to a pixel. This
        suits networks that were trained this way: AWNet, MW-ISPNet, LiteISPNet and others with their authors' code.
    ``phase``
        The mosaic is mirrored about a column or row of pixels, rather than about its border, and stays a true RGGB
        mosaic; transposing swaps Gr and Gb. ``data.augment`` flips training patches this way. A mirrored view lacks the
        last row or column, which is averaged over the remaining views.

    Args:
        model: The model to average.
        mode: ``planes`` or ``phase``.

    Raises:
        UserError: for another mode.
    """

    paper: ClassVar[str] = "x8 self-ensemble"

    def __init__(self, model: ISPModel, mode: str = "planes") -> None:
        super().__init__()
        if mode not in MODES:
            raise UserError(f"eval.self_ensemble is true (planes), planes, phase or false, not {mode!r}.")
        self.model = model
        self.mode = mode

    @property
    def net(self) -> nn.Module:  # type: ignore[override]
        """The network of the model."""
        return self.model.net

    def set_levels(self, black_level: float, white_level: float) -> None:
        """Tells the model."""
        super().set_levels(black_level, white_level)
        self.model.set_levels(black_level, white_level)

    def forward_scales(self, raw: Tensor) -> tuple[Tensor, ...]:
        """The mean image, shape (N, 3, 2h, 2w), not clamped, of packed RAW (N, 4, h, w)."""
        view = _view_planes if self.mode == "planes" else _view_phase
        total, count = torch.zeros((), device=raw.device), torch.zeros((), device=raw.device)
        for rows, columns, transpose in product((False, True), repeat=3):
            flipped, flip_back = view(raw, rows, columns, transpose)
            image, known = flip_back(self.model.forward_scales(flipped)[0])
            total, count = total + image * known, count + known
        return (total / count,)


class ModelMean(ISPModel):
    """The mean of the images of several models, such as the two branches of AWNet.

    Args:
        models: At least one.
    """

    paper: ClassVar[str] = "mean of models"

    def __init__(self, models: Sequence[ISPModel]) -> None:
        super().__init__()
        self.models = nn.ModuleList(models)

    @property
    def net(self) -> nn.Module:  # type: ignore[override]
        """The networks of all models."""
        return nn.ModuleList(model.net for model in self._members())

    def set_levels(self, black_level: float, white_level: float) -> None:
        """Tells every model."""
        super().set_levels(black_level, white_level)
        for model in self._members():
            model.set_levels(black_level, white_level)

    def _members(self) -> list[Any]:
        return list(self.models)

    def forward_scales(self, raw: Tensor) -> tuple[Tensor, ...]:
        """The mean image, shape (N, 3, 2h, 2w), not clamped, of packed RAW (N, 4, h, w)."""
        return (torch.stack([model.forward_scales(raw)[0] for model in self._members()]).mean(0),)


class Evaluation:
    """What ``eval:`` of a configuration asks for.

    Args:
        self_ensemble: false, true (the same as ``planes``), ``planes`` or ``phase``: see `SelfEnsemble`.
        average_with: Names of further models and the checkpoint file of each: see `ModelMean`.

    Raises:
        UserError: for an unknown option or mode.
    """

    def __init__(
        self, self_ensemble: bool | str = False, average_with: Mapping[str, str] | None = None, **unknown: Any
    ) -> None:
        if unknown:
            raise UserError(f"Unknown key {next(iter(unknown))!r} in eval. Valid keys: average_with, self_ensemble.")
        self.mode = MODES[0] if self_ensemble is True else self_ensemble or None
        if self.mode is not None and self.mode not in MODES:
            raise UserError(f"eval.self_ensemble is true (planes), planes, phase or false, not {self_ensemble!r}.")
        self.average_with = dict(average_with or {})

    def __str__(self) -> str:
        """The options in use, to mark a result with; empty for none."""
        named = {"average_with": "+".join(self.average_with), "self_ensemble": self.mode}
        return " ".join(f"{name}={value}" for name, value in named.items() if value)

    def wrap(self, model: ISPModel, load: Callable[[str, str], ISPModel]) -> ISPModel:
        """The model to test in place of `model`, on which it goes on to depend.

        Args:
            model: The run's model.
            load: Makes the model of a name with the weights of a file.
        """
        if self.average_with:
            model = ModelMean([model, *(load(name, path) for name, path in self.average_with.items())])
        return model if self.mode is None else SelfEnsemble(model, self.mode)


_Back = Callable[[Tensor], tuple[Tensor, Tensor]]


def _view_planes(raw: Tensor, rows: bool, columns: bool, transpose: bool) -> tuple[Tensor, _Back]:
    """Flips packed planes as images; also returns the function that transforms an output back."""
    sides = [dimension for dimension, flip in ((2, rows), (3, columns)) if flip]

    def flip_back(image: Tensor) -> tuple[Tensor, Tensor]:
        return (image.mT if transpose else image).flip(sides), image.new_ones(())

    flipped = raw.flip(sides)
    return (flipped.mT if transpose else flipped), flip_back


def _view_phase(raw: Tensor, rows: bool, columns: bool, transpose: bool) -> tuple[Tensor, _Back]:
    """Flips the mosaic so that it stays RGGB. Outputs come back with weight 1 for the pixels that they know."""
    mosaic = F.pixel_shuffle(raw, 2)
    for dimension, flip in ((2, rows), (3, columns)):
        if flip:
            mosaic = mosaic.index_select(dimension, _mirror(mosaic.shape[dimension], raw.device))

    def flip_back(image: Tensor) -> tuple[Tensor, Tensor]:
        image = image.mT if transpose else image
        known = image.new_ones(1, 1, *image.shape[-2:])
        for dimension, flip in ((2, rows), (3, columns)):
            if flip:
                length = image.shape[dimension]
                image = image.index_select(dimension, _mirror(length, image.device))
                known.select(dimension, length - 1).zero_()
        return image, known

    return F.pixel_unshuffle(mosaic.mT if transpose else mosaic, 2), flip_back


def _mirror(length: int, device: torch.device) -> Tensor:
    """The source of each index of an even side when mirrored about the last but one; the last index has no source."""
    return torch.arange(length - 2, -2, -1, device=device).abs()
