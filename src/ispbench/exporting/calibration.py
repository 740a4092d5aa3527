"""Images that an int8 file's ranges are measured on: from the training split, never from validation or test."""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ispbench.data.datamodule import PairedDataModule
from ispbench.data.pairs import PairDataset
from ispbench.errors import UserError
from ispbench.raw.levels import normalize_raw

SPLIT = "train"


@dataclass(frozen=True)
class Calibration:
    """The images, and what tells them again.

    Attributes:
        images: Inputs of the network, shape (1, 4, h, w).
        split: Where they are from.
        fingerprint: Of that split.
        seed: Decides which pairs, and where they are cropped.
        names: Of the pairs.
        hashes: Of the packed RAW in DN.
    """

    images: list[NDArray[np.float32]]
    split: str
    fingerprint: str
    seed: int
    names: list[str]
    hashes: list[str]

    def about(self) -> dict[str, Any]:
        """All but the images, for the record."""
        return {name: value for name, value in asdict(self).items() if name != "images"}


def draw(
    data: PairedDataModule, count: int, height: int, width: int, seed: int, levels_inside: bool = False
) -> Calibration:
    """Draws crops of training images.

    Args:
        data: The dataset.
        count: How many; all where there are fewer.
        height: Of a crop, in Bayer pixels; a smaller image is padded by repeating its edge.
        width: Likewise.
        seed: Decides which.
        levels_inside: Whether the network takes DN; else canonical RAW.

    Raises:
        UserError: for unreadable pairs, or a dataset without a training split.
    """
    source = data.source(SPLIT)
    if not len(source):
        raise UserError(f"{data.version} has no training pairs to calibrate int8 on; choose another precision.")
    pairs = PairDataset(source, crop=max(height, width), seed=seed)
    chosen = np.random.default_rng(seed).choice(len(source), min(count, len(source)), replace=False)
    images, names, hashes = [], [], []
    for index in map(int, sorted(chosen)):
        packed = pairs[index, index]["raw"]
        names.append(str(source.names[index]))
        hashes.append(hashlib.sha256(np.ascontiguousarray(packed).tobytes()).hexdigest()[:16])
        raw = torch.from_numpy(packed.astype(np.float32))[None]
        if not levels_inside:
            raw = normalize_raw(raw, data.black_level, data.white_level)
        images.append(_fitted(raw, height // 2, width // 2).numpy())
    return Calibration(images, SPLIT, source.fingerprint[:16], seed, names, hashes)


def _fitted(raw: torch.Tensor, high: int, wide: int) -> torch.Tensor:
    padding = (0, max(wide - raw.shape[3], 0), 0, max(high - raw.shape[2], 0))
    return F.pad(raw, padding, mode="replicate")[..., :high, :wide].contiguous()
