"""Bayer mosaics and packed RAW.

The canonical packed RAW has the planes R, Gr, Gb, B of an RGGB mosaic: R at [0::2, 0::2], Gr (the green of the red
rows) at [0::2, 1::2], Gb at [1::2, 0::2], B at [1::2, 1::2].

    >>> import numpy as np
    >>> mosaic = np.arange(16).reshape(4, 4)
    >>> bool((unpack(pack(mosaic)) == mosaic).all())
    True
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

PLANES = ("R", "Gr", "Gb", "B")
# The rows and columns to drop at the top and left so that a mosaic of this phase starts with R.
PHASE_OFFSETS = {"RGGB": (0, 0), "GRBG": (0, 1), "GBRG": (1, 0), "BGGR": (1, 1)}

Scalar = TypeVar("Scalar", bound=np.generic)


def pack(mosaic: NDArray[Scalar]) -> NDArray[Scalar]:
    """Packs an RGGB mosaic into its four planes.

    Args:
        mosaic: Shape (..., H, W), H and W even.

    Returns:
        Shape (..., 4, H/2, W/2), planes R, Gr, Gb, B.

    Raises:
        ValueError: if H or W is odd.
    """
    height, width = mosaic.shape[-2:]
    if height % 2 or width % 2:
        raise ValueError(f"a Bayer mosaic has even sides, not {height}x{width}")
    planes = [mosaic[..., row::2, column::2] for row in (0, 1) for column in (0, 1)]
    return np.stack(planes, axis=-3)


def unpack(packed: NDArray[Scalar]) -> NDArray[Scalar]:
    """Inverts `pack`: shape (..., 4, h, w) to the RGGB mosaic (..., 2h, 2w)."""
    *batch, planes, height, width = packed.shape
    if planes != 4:
        raise ValueError(f"packed RAW has 4 planes, not {planes}")
    mosaic = np.empty((*batch, 2 * height, 2 * width), packed.dtype)
    for plane in range(4):
        mosaic[..., plane // 2 :: 2, plane % 2 :: 2] = packed[..., plane, :, :]
    return mosaic


def to_rggb(mosaic: NDArray[Scalar], phase: str) -> NDArray[Scalar]:
    """Crops a mosaic of any CFA phase, shape (H, W), to an RGGB mosaic with even sides.

    Args:
        mosaic: Shape (H, W).
        phase: One of RGGB, GRBG, GBRG, BGGR: the colors of the top left 2x2 cell, row by row.

    Returns:
        A view that starts with R and is cropped to even sides.

    Raises:
        ValueError: for an unknown phase.
    """
    if phase not in PHASE_OFFSETS:
        raise ValueError(f"unknown CFA phase {phase!r}; choose one of {', '.join(PHASE_OFFSETS)}")
    top, left = PHASE_OFFSETS[phase]
    height, width = ((mosaic.shape[0] - top) // 2 * 2, (mosaic.shape[1] - left) // 2 * 2)
    return mosaic[top : top + height, left : left + width]
