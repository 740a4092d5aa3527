"""Pairs of files below a folder, read as sensor numbers."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ispbench.data.datasets.layout import PairFiles
from ispbench.data.image_files import read_mosaic, read_srgb, stored_bits
from ispbench.data.name_list import Strings
from ispbench.data.pairs import Pair, PairSource
from ispbench.errors import UserError
from ispbench.raw.bayer import PHASE_OFFSETS, to_rggb


def bit_depth(white_level: float) -> int:
    """The bit depth of a sensor with this white level: 10 for 1020, 12 for 4095."""
    return int(np.ceil(np.log2(white_level + 1)))


class FolderSource(PairSource):
    """Some pairs of files below a folder.

    Args:
        root: The dataset's folder.
        pairs: The files of each pair.
        phase: CFA phase of the mosaics as stored.
        white_level: In DN; files of another bit depth are refused.
        size: Height and width that every image must have; None if they may differ.
    """

    thread_safe = True

    def __init__(
        self, root: Path, pairs: Sequence[PairFiles], phase: str, white_level: float, size: Sequence[int] | None = None
    ) -> None:
        self.root = root
        self.phase = phase
        self.white_level = white_level
        self.size = size
        self._faults = {index: pair.fault for index, pair in enumerate(pairs) if pair.fault}
        self.names = Strings(pair.name for pair in pairs)
        self._raws = Strings(pair.raw for pair in pairs)
        self._targets = Strings(pair.target for pair in pairs)
        stamps = [(pair.raw_stamp, pair.target_stamp) for pair in pairs]
        self._stamps = np.array(stamps, np.int64).reshape(len(pairs), 2, 2)
        files = [f"{pair.name}{os.path.splitext(pair.raw)[1]}" for pair in pairs]
        listing = "".join(f"{file} {a[0]} {b[0]}\n" for file, (a, b) in zip(files, stamps, strict=True))
        self.fingerprint = hashlib.sha256(listing.encode()).hexdigest()
        local = f"{self.fingerprint} {phase} {size} {list(self._targets)}".encode() + self._stamps.tobytes()
        self.stamp = hashlib.sha256(local).hexdigest()

    def paths(self, index: int) -> tuple[Path, Path]:
        """The RAW file and the target file of a pair."""
        return self.root / self._raws[index], self.root / self._targets[index]

    def stored_bits(self, index: int) -> int:
        """The bits of a value in the RAW file, 8 or 16."""
        return stored_bits(self.paths(index)[0])

    def read(self, index: int) -> Pair:
        """The RGGB mosaic in DN, shape (H, W), and the sRGB target, shape (H, W, 3).

        Raises:
            UserError: naming the file that is missing, damaged, changed since the run began, or of the wrong kind.
        """
        if index in self._faults:
            raise UserError(f"{self.root}: {self._faults[index]}.")
        paths = raw_path, target_path = self.paths(index)
        for path, stamp in zip(paths, self._stamps[index], strict=True):
            _refuse_changed(path, stamp)
        mosaic, target = read_mosaic(raw_path, self.size), read_srgb(target_path)
        if mosaic.shape != target.shape[:2]:
            raise UserError(
                f"{raw_path} is {mosaic.shape[1]}x{mosaic.shape[0]} but {target_path} is "
                f"{target.shape[1]}x{target.shape[0]}; a pair has one size."
            )
        if self.size is not None and mosaic.shape != tuple(self.size):
            raise UserError(
                f"{raw_path} is {mosaic.shape[1]}x{mosaic.shape[0]} but the dataset's images are "
                f"{self.size[1]}x{self.size[0]}; restore the file or set data.size=[HEIGHT,WIDTH] (null: any)."
            )
        bits = bit_depth(self.white_level)
        if mosaic.max() >= 2**bits:
            raise UserError(
                f"{raw_path} reaches {mosaic.max()}, above the {bits} bits of data.white_level={self.white_level:g}; "
                "set data.black_level and data.white_level to the sensor's bit depth."
            )
        top, left = PHASE_OFFSETS[self.phase]
        mosaic = to_rggb(mosaic, self.phase)
        return mosaic, target[top : top + mosaic.shape[0], left : left + mosaic.shape[1]]


def _refuse_changed(path: Path, stamp: np.ndarray) -> None:
    try:
        status = os.stat(path)
    except OSError:
        return  # reading it says more
    if (status.st_size, status.st_mtime_ns) != tuple(stamp):
        raise UserError(f"{path} was exchanged since the run began; restore it and continue with resume=RUN_FOLDER.")
