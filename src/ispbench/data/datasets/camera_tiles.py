"""Developed camera files in the cache, and their tiles as pairs."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ispbench.data.pairs import Pair, PairSource
from ispbench.data.sealed import SealedArray, read_json


@dataclass(frozen=True)
class Developed:
    """One camera file in the cache.

    Attributes:
        name: Its path relative to the dataset's folder.
        folder: The folder with ``raw.npy`` (H, W), ``target.npy`` (H, W, 3) and ``about.json``.

    Raises:
        DamagedError: by what it reads, if that is not what was written.
    """

    name: str
    folder: Path

    @cached_property
    def about(self) -> dict[str, Any]:
        """Size, levels, white balance, matrix, and what had to be assumed."""
        return read_json(self.folder / "about.json")

    @cached_property
    def planes(self) -> tuple[SealedArray, SealedArray]:
        """Mosaic and target."""
        return SealedArray(self.folder / "raw.npy"), SealedArray(self.folder / "target.npy")

    def window(self, top: int, left: int, size: int) -> Pair:
        """A square of mosaic and target at an even offset."""
        part = (slice(top, top + size), slice(left, left + size))
        raw, target = self.planes
        return np.array(raw[part]), np.array(target[part])


class CameraSource(PairSource):
    """The tiles of some camera files, row by row and without overlap. What remains at the borders is not used.

    Args:
        files: The files.
        tile: Side of the tiles in pixels, even.
    """

    def __init__(self, files: Sequence[Developed], tile: int) -> None:
        self._tile = tile
        self._tiles = [
            (file, top, left)
            for file in files
            for top in range(0, file.about["height"] - tile + 1, tile)
            for left in range(0, file.about["width"] - tile + 1, tile)
        ]
        self.names = [f"{file.name}@{top}-{left}" for file, top, left in self._tiles]
        listing = "".join(f"{file.name} {file.about['sha256']} {file.about['libraw']}\n" for file in files)
        self.fingerprint = hashlib.sha256(f"{tile}\n{listing}".encode()).hexdigest()

    def read(self, index: int) -> Pair:
        """The RGGB mosaic on the dataset's scale, shape (tile, tile), and the sRGB target, shape (tile, tile, 3)."""
        file, top, left = self._tiles[index]
        return file.window(top, left, self._tile)
