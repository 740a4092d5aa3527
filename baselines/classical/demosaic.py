"""The demosaicing choices of the classical pipeline."""

from collections.abc import Callable
from importlib import import_module

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ispbench.errors import UserError
from ispbench.raw.demosaic import bilinear

Demosaic = Callable[[Tensor], Tensor]

# The functions of the package colour_demosaicing.
_LIBRARY = {"malvar": "demosaicing_CFA_Bayer_Malvar2004", "menon": "demosaicing_CFA_Bayer_Menon2007"}


def demosaicer(name: str) -> Demosaic:
    """A demosaicing by its name.

    Args:
        name: ``bilinear``; ``malvar`` (Malvar et al., "High-quality linear interpolation for demosaicing of
            Bayer-patterned color images", ICASSP 2004); or ``menon`` (Menon et al., "Demosaicing with directional
            filtering and a posteriori decision", IEEE TIP 2007).

    Returns:
        Canonical packed RAW, shape (N, 4, h, w), to linear camera RGB, shape (N, 3, 2h, 2w).

    Raises:
        UserError: for another name, or when the library of the latter two is not installed.
    """
    if name == "bilinear":
        return bilinear
    if name not in _LIBRARY:
        raise UserError(f"model.demosaic is bilinear, {' or '.join(_LIBRARY)}, not {name!r}.")
    try:
        with np.printoptions():  # the package changes how NumPy, and so any CSV, writes numbers, and is not to
            function = getattr(import_module("colour_demosaicing"), _LIBRARY[name])
    except ImportError as error:
        raise UserError(
            f"model.demosaic={name} needs the package colour-demosaicing: pip install colour-demosaicing."
        ) from error
    return _Library(function)


class _Library:
    """A NumPy function of mosaic and phase, for batches of tensors on any device.

    The mosaic is continued by its mirror image, which keeps the phase; the library repeats the border, which does not.
    """

    def __init__(self, function: Callable[..., np.ndarray]) -> None:
        self.function = function

    def __call__(self, raw: Tensor) -> Tensor:
        if raw.is_meta:  # where complexity is counted, there are no values
            return raw.new_empty(len(raw), 3, 2 * raw.shape[2], 2 * raw.shape[3])
        mosaics = F.pixel_shuffle(raw.double(), 2).squeeze(1).cpu().numpy()
        border = min(4, min(mosaics.shape[1:]) - 2)
        mosaics = np.pad(mosaics, ((0, 0), (border, border), (border, border)), "reflect")
        images = np.stack([self.function(mosaic, "RGGB") for mosaic in mosaics])
        images = images[:, border : images.shape[1] - border, border : images.shape[2] - border]
        return torch.from_numpy(images).permute(0, 3, 1, 2).to(raw)
