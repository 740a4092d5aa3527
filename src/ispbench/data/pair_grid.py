"""A grid of pairs, each a gray-world rendering of the RAW next to its target."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ispbench.data.datamodule import PairedDataModule
from ispbench.data.image_files import read_mosaic
from ispbench.data.parallel import spread
from ispbench.data.validation.plausibility import gray_world
from ispbench.errors import UserError
from ispbench.raw.bayer import to_rggb

_COLUMNS = 2  # pairs side by side
_GAP = 4
_FULL_SIDE = 1600  # longest side of a full-resolution rendering in the grid


def pair_grid(data: PairedDataModule, split: str, names: Sequence[str], count: int, size: int) -> NDArray[np.uint8]:
    """Draws pairs.

    Args:
        data: The dataset.
        split: train, val or test.
        names: The pairs to draw; empty for `count` pairs, evenly spread over the split.
        count: How many pairs to draw if no names are given.
        size: Larger images are shrunk to this side, in pixels.

    Returns:
        Shape (H, W, 3), sRGB; each cell has the RAW on the left and the target on the right.

    Raises:
        UserError: for an unknown name or an unreadable file.
    """
    source = data.source(split)
    if names:
        known = {name: index for index, name in enumerate(source.names)}
        if unknown := [name for name in names if name not in known]:
            raise UserError(f"The {split} split has no pair {unknown[0]}; it has {source.names[0]} and others.")
        indices = [known[name] for name in names]
    else:
        indices = spread(len(source), count)
    cells = []
    for index in indices:
        mosaic, target = source.read(index)
        rendering = _eight_bits(gray_world(mosaic, data.black_level, data.white_level))
        cells.append(np.hstack([_shrink(rendering, size), _shrink(target, size)]))
    return _tile(cells, _COLUMNS)


def full_grid(data: PairedDataModule, count: int) -> NDArray[np.uint8]:
    """Draws full-resolution mosaics, which have no targets, as gray-world renderings, shape (H, W, 3), sRGB.

    Raises:
        UserError: if the dataset has none.
    """
    paths = data.full_mosaics()
    cells = []
    for index in spread(len(paths), count):
        mosaic = to_rggb(read_mosaic(paths[index]), data.cfa)
        cells.append(_shrink(_eight_bits(gray_world(mosaic, data.black_level, data.white_level)), _FULL_SIDE))
    return _tile(cells, 1)


def _eight_bits(image: NDArray) -> NDArray[np.uint8]:
    return np.rint(image * 255).astype(np.uint8)


def _shrink(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    scale = size / max(image.shape[:2])
    if scale >= 1:
        return image
    shape = tuple(max(1, round(side * scale)) for side in image.shape[1::-1])
    return np.asarray(cv2.resize(image, shape, interpolation=cv2.INTER_AREA), np.uint8)


def _tile(cells: Sequence[NDArray[np.uint8]], columns: int) -> NDArray[np.uint8]:
    """Cells row by row on white."""
    if not cells:
        raise UserError("There is nothing to show.")
    height, width = (max(cell.shape[axis] for cell in cells) + _GAP for axis in (0, 1))
    rows = -(-len(cells) // columns)
    grid = np.full((rows * height, min(columns, len(cells)) * width, 3), 255, np.uint8)
    for number, cell in enumerate(cells):
        top, left = number // columns * height, number % columns * width
        grid[top : top + cell.shape[0], left : left + cell.shape[1]] = cell
    return grid
