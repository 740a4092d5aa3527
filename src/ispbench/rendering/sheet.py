"""Contact sheets: pictures of one photo side by side, each with its name."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_LONG_SIDE = 960  # of a picture
_MARGIN = 12
_TITLE = 26  # height of the line above a picture
_COLUMNS = 3
_PAPER, _INK = (32, 32, 32), (230, 230, 230)


@dataclass(frozen=True)
class Panel:
    """A picture of a sheet.

    Attributes:
        title: What made it.
        image: sRGB, uint8, shape (h, w, 3).
    """

    title: str
    image: NDArray[np.uint8]


def panel(title: str, image: NDArray[Any], aspect: float = 1.0) -> Panel:
    """A panel of a picture of any size, shrunk to fit.

    Args:
        title: What made it.
        image: sRGB, uint8 or uint16, shape (H, W, 3).
        aspect: The width of a pixel divided by its height; the panel's are square.
    """
    height, width = image.shape[0], image.shape[1] * aspect
    scale = min(1.0, _LONG_SIDE / max(height, width))
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return Panel(title, (small // (257 if small.dtype == np.uint16 else 1)).astype(np.uint8))


def sheet(panels: Sequence[Panel]) -> NDArray[np.uint8]:
    """Lays panels out in rows of three, or in rows of two if they are four.

    Args:
        panels: At least one.

    Returns:
        sRGB, shape (H, W, 3).
    """
    columns = 2 if len(panels) == 4 else min(len(panels), _COLUMNS)
    width = max(one.image.shape[1] for one in panels) + _MARGIN
    height = max(one.image.shape[0] for one in panels) + _MARGIN + _TITLE
    rows = math.ceil(len(panels) / columns)
    paper = Image.new("RGB", (columns * width + _MARGIN, rows * height + _MARGIN), _PAPER)
    pen, font = ImageDraw.Draw(paper), ImageFont.load_default(18)
    for number, one in enumerate(panels):
        left, top = _MARGIN + number % columns * width, _MARGIN + number // columns * height
        pen.text((left, top), one.title, _INK, font)
        paper.paste(Image.fromarray(one.image), (left, top + _TITLE))
    return np.asarray(paper)
