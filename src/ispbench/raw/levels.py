"""Black and white levels: from sensor numbers (DN) to the canonical scale, and from there to that of older papers.

Canonical RAW is ``(DN - black) / (white - black)``: 0 at the black level, 1 at the white level. Nothing is clipped:
noise below black stays negative, and what a sensor records above its white level stays above 1. Both maps are linear
and take arrays and tensors alike.
"""

import math
from typing import Any

from ispbench.errors import UserError

# From canonical R, Gr, Gb, B to the stacking order of the PyNET line of papers: B, Gr, R, Gb, the mosaic positions
# (1,1) (0,1) (0,0) (1,0). That code calls the second plane "Gb" and the fourth "Gr".
BGRG_ORDER = [3, 1, 0, 2]


def normalize_raw(dn: Any, black_level: Any, white_level: Any) -> Any:
    """Canonical RAW from sensor numbers.

    Args:
        dn: In DN, a float or integer array or a float tensor.
        black_level: In DN: one number, or one a plane if it broadcasts against `dn`.
        white_level: In DN, likewise.
    """
    return (dn - black_level) / (white_level - black_level)


def add_black_level(raw: Any, black_level: float, white_level: float) -> Any:
    """``DN / white_level`` from canonical RAW, as networks see it that were trained without black level subtraction.

    Args:
        raw: Canonical RAW.
        black_level: In DN.
        white_level: In DN. On ZRR it is 1020, the ``4 * 255`` of PyNET and its descendants.
    """
    pedestal = black_level / white_level
    return raw * (1 - pedestal) + pedestal


def encode_gamma(raw: Any, gamma: float) -> Any:
    """``raw^(1/gamma)`` of canonical RAW, its negative noise cut off.

    Args:
        raw: Canonical RAW, a tensor.
        gamma: 2.2 is about that of sRGB; 1 leaves the RAW linear.
    """
    raw = raw.clamp_min(0)
    return raw if gamma == 1 else raw.pow(1 / gamma)


def checked_gamma(gamma: float) -> float:
    """The option ``model.input_gamma``.

    Raises:
        UserError: unless it is positive.
    """
    if not gamma > 0:
        raise UserError(f"model.input_gamma is positive, not {gamma!r}.")
    return gamma


def ten_bit(raw: Any, black_level: float, white_level: float) -> Any:
    """DN on a 10-bit scale from canonical RAW, the black level kept, for networks with levels of their own in DN.

    On 10-bit data such as ZRR these are the sensor's numbers. Those of other depths are scaled so that the largest
    number of the depth becomes 1023.

    Args:
        raw: Canonical RAW.
        black_level: Of the sensor, in DN.
        white_level: Of the sensor, in DN; its size tells the bit depth.
    """
    bits = math.ceil(math.log2(white_level + 1))
    return add_black_level(raw, black_level, white_level) * (white_level * 1023 / (2**bits - 1))
