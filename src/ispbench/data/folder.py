"""Pairs in folders: one with RAW mosaics, one with sRGB targets of the same names."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ispbench.data.images import read_mosaic, read_srgb
from ispbench.data.module import PairedDataModule
from ispbench.data.pairs import Pair
from ispbench.errors import UserError
from ispbench.raw.bayer import PHASE_OFFSETS, to_rggb

_RAW_SUFFIXES = (".png", ".tif", ".tiff")
_TARGET_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")


class FolderSource:
    """Some pairs of two folders.

    Args:
        pairs: The RAW file and the target file of each pair.
        phase: CFA phase of the mosaics as stored.
        white_level: In DN, to refuse files of another bit depth.
    """

    def __init__(self, pairs: Sequence[tuple[Path, Path]], phase: str, white_level: float) -> None:
        self.pairs = pairs
        self.phase = phase
        self.white_level = white_level
        self.names = [raw.stem for raw, _ in pairs]
        listing = "".join(f"{raw.name} {raw.stat().st_size} {gt.stat().st_size}\n" for raw, gt in pairs)
        self.fingerprint = hashlib.sha256(listing.encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.pairs)

    def read(self, index: int) -> Pair:
        """The RGGB mosaic in DN, shape (H, W), and the sRGB target, shape (H, W, 3)."""
        raw_path, target_path = self.pairs[index]
        mosaic, target = read_mosaic(raw_path), read_srgb(target_path)
        if mosaic.shape != target.shape[:2]:
            raise UserError(
                f"{raw_path} is {mosaic.shape[1]}x{mosaic.shape[0]} but {target_path} is "
                f"{target.shape[1]}x{target.shape[0]}; a pair has one size."
            )
        if mosaic.max() > 2 * self.white_level:
            raise UserError(
                f"{raw_path} reaches {mosaic.max()}, far above data.white_level={self.white_level:g}; "
                "set data.black_level and data.white_level to the sensor's bit depth."
            )
        top, left = PHASE_OFFSETS[self.phase]
        mosaic = to_rggb(mosaic, self.phase)
        return mosaic, target[top : top + mosaic.shape[0], left : left + mosaic.shape[1]]


class FolderData(PairedDataModule):
    """RAW and sRGB files of equal names in two folders.

    The folders stand in `root`, or in ``root/train``, ``root/val`` and ``root/test``. What has no folder of its own is
    held out of training by a hash of the names, so that the splits never change with the file system.

    Args:
        root: The dataset's folder.
        raw_folder: Name of the folder with the mosaics, 8- or 16-bit grey PNG or TIFF.
        target_folder: Name of the folder with the sRGB images, PNG, JPEG or TIFF.
        cfa: CFA phase of the mosaics: RGGB, GRBG, GBRG or BGGR.
        val_fraction: Share of the training pairs held out for validation.
        test_fraction: Share of the pairs held out for the test.
        help: Where the dataset comes from, for the message when it is missing.
        **options: See `PairedDataModule`.
    """

    def __init__(
        self,
        *,
        root: str,
        raw_folder: str,
        target_folder: str,
        cfa: str,
        val_fraction: float,
        test_fraction: float,
        help: str = "",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if cfa not in PHASE_OFFSETS:
            raise UserError(f"data.cfa={cfa} is unknown; choose one of {', '.join(PHASE_OFFSETS)}.")
        self.root = Path(root).expanduser()
        self.raw_folder = raw_folder
        self.target_folder = target_folder
        self.cfa = cfa
        self.fractions = {"val": val_fraction, "test": test_fraction}
        self.help = help

    def prepare_data(self) -> None:
        """Checks that every split is there, before anything else starts."""
        for split in ("train", "val", "test"):
            if not len(self.source(split)):
                raise UserError(
                    f"The {split} split of {self.root} has no pairs; give it more files or a larger fraction."
                )

    def open(self, split: str) -> FolderSource:
        """The pairs of a split."""
        return FolderSource(self._splits()[split], self.cfa, self.white_level)

    def _splits(self) -> dict[str, list[tuple[Path, Path]]]:
        folders = {split: self.root / split for split in ("train", "val", "test") if (self.root / split).is_dir()}
        splits = {split: self._pairs(folder) for split, folder in folders.items()} or {"train": self._pairs(self.root)}
        splits.setdefault("train", [])
        whole = sorted(splits["train"], key=lambda pair: hashlib.sha256(pair[0].stem.encode()).hexdigest())
        for split, fraction in self.fractions.items():
            if split not in splits:
                count = max(1, round(len(splits["train"]) * fraction)) if len(whole) > 1 else 0
                splits[split], whole = whole[:count], whole[count:]
        return {split: sorted(splits[split] if split != "train" else whole, key=_natural) for split in splits}

    def _pairs(self, folder: Path) -> list[tuple[Path, Path]]:
        raw_folder, target_folder = folder / self.raw_folder, folder / self.target_folder
        for place in (raw_folder, target_folder):
            if not place.is_dir():
                raise UserError(
                    f"There is no folder {place}; set data.root to the dataset's folder. {self.help} Expected: "
                    f"{folder}/{self.raw_folder}/*.png and {folder}/{self.target_folder}/*.png or .jpg of equal names."
                )
        targets = {path.stem: path for path in target_folder.iterdir() if path.suffix.lower() in _TARGET_SUFFIXES}
        raws = {path.stem: path for path in raw_folder.iterdir() if path.suffix.lower() in _RAW_SUFFIXES}
        single = sorted(raws.keys() ^ targets.keys())
        if single:
            raise UserError(
                f"{len(single)} files of {folder} have no partner, first {single[0]}: there are {len(raws)} in "
                f"{self.raw_folder}/ and {len(targets)} in {self.target_folder}/; a pair has one name in both."
            )
        return [(raws[name], targets[name]) for name in raws]


def _natural(pair: tuple[Path, Path]) -> tuple[int, str]:
    stem = pair[0].stem
    return (int(stem) if stem.isdigit() else -1, stem)
