"""Black and white levels: from sensor numbers (DN) to the canonical scale and to the scales of older papers.

Canonical RAW is ``(DN - black) / (white - black)``: black level subtracted, white level = 1, noise below black kept
negative. These are linear maps, so they hold for arrays and tensors alike.
"""

import math
from typing import Any

# From canonical R, Gr, Gb, B to the stacking order of the PyNET line of papers: B, Gr, R, Gb, the mosaic positions
# (1,1) (0,1) (0,0) (1,0). That code calls the second plane "Gb" and the fourth "Gr".
BGRG_ORDER = [3, 1, 0, 2]


def subtract_black(dn: Any, black_level: Any, white_level: float) -> Any:
    """Canonical RAW from sensor numbers; `black_level` may be per plane if it broadcasts against `dn`."""
    return (dn - black_level) / (white_level - black_level)


def keep_black(raw: Any, black_level: float, white_level: float) -> Any:
    """``DN / white_level`` from canonical RAW, as networks see it that were trained without black level subtraction.

    Args:
        raw: Canonical RAW.
        black_level: Of the sensor, in DN.
        white_level: Of the sensor, in DN. On ZRR it is 1020, the ``4 * 255`` of PyNET and its descendants.
    """
    pedestal = black_level / white_level
    return raw * (1 - pedestal) + pedestal


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
    return keep_black(raw, black_level, white_level) * (white_level * 1023 / (2**bits - 1))
