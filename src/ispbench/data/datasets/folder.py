"""Datasets in two folders: RAW mosaics in one, sRGB targets of the same names in the other."""

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from pytorch_lightning.utilities import rank_zero_only

from ispbench.console import say
from ispbench.data import SPLITS
from ispbench.data.datamodule import PairedDataModule
from ispbench.data.datasets.file_source import FolderSource, bit_depth
from ispbench.data.datasets.layout import Issue, Listing, PairFiles, list_pairs
from ispbench.data.image_files import RAW_SUFFIXES, read_mosaic
from ispbench.data.pairs import PairSource
from ispbench.data.split_lists import SplitList
from ispbench.errors import UserError
from ispbench.files import expanded
from ispbench.raw.bayer import PHASE_OFFSETS

_INSPECTED = 64  # files whose largest value suggests the bit depth
_ENOUGH = 16  # fewer files cannot contradict the configured bit depth


class FolderData(PairedDataModule):
    """RAW and sRGB files with the same names in two folders.

    The pairs are in ``root/FOLDER/raw_folder`` and ``root/FOLDER/target_folder``, where FOLDER is that of a split, or
    directly in `root`. A split without a folder of its own is held out of the training pairs, by the dataset's fixed
    list or else by a hash of the names. Neither depends on the file system.

    Args:
        version: See `PairedDataModule`; results of an incomplete copy count as ``VERSION-partial``.
        root: The dataset's folder.
        raw_folder: Name of the folder with the mosaics: PNG, TIFF, ``.npy``, or ``.raw`` without a header.
        target_folder: Name of the folder with the sRGB images: PNG, JPEG, TIFF or ``.npy``.
        cfa: CFA phase of the mosaics: RGGB, GRBG, GBRG or BGGR.
        size: Height and width that every image must have; None for any.
        folders: Split to the name of its folder; None for train, val, test.
        split_list: A fixed list of ``ispbench/data/splits/``; None for the folders, and fractions of train.
        val_fraction: Fraction of the training pairs held out for validation, if there is no list.
        test_fraction: Fraction of the training pairs held out for testing, if there is no list.
        folds: Parts of a cross-validation, by a hash of the names; None for the fractions.
        fold: Which part is the test, from 0; the next one is for validation, the others for training. It joins the
            version, ``VERSION-fold0``.
        allow_partial: Whether to accept a copy with missing files.
        target_set: See `PairedDataModule`; without a split list, ``own-split`` becomes ``tree-split``, since the
            splits are then those of the tree's own folders.
        full_resolution: Folder of whole mosaics without targets, below the root; None if there are none.
        help: What the dataset is, how large, and where its authors offer it; shown when it is missing.
        **options: See `PairedDataModule`.

    Raises:
        UserError: for an unknown CFA phase or split list, a version that is the name of a list not used, or a fold that
            there is not.
    """

    def __init__(
        self,
        *,
        version: str,
        root: str | None,
        raw_folder: str,
        target_folder: str,
        cfa: str,
        size: Sequence[int] | None = None,
        folders: Mapping[str, str] | None = None,
        split_list: str | None = None,
        val_fraction: float = 0.0,
        test_fraction: float = 0.0,
        folds: int | None = None,
        fold: int = 0,
        allow_partial: bool = False,
        target_set: str = "original-gt",
        full_resolution: str | None = None,
        help: str = "",
        **options: Any,
    ) -> None:
        if split_list is None and target_set == "own-split":
            target_set = "tree-split"
        elif split_list is None and not allow_partial and _names_a_split_list(version):
            raise UserError(
                f"data.version={version} names a fixed split list; with data.split_list=null give the dataset another "
                "data.version."
            )
        if folds is not None and not 0 <= fold < folds:
            raise UserError(f"data.fold={fold}: {folds} folds are numbered from 0 to {folds - 1}.")
        version += f"-fold{fold}" * (folds is not None) + "-partial" * allow_partial
        super().__init__(version=version, target_set=target_set, **options)
        if cfa not in PHASE_OFFSETS:
            raise UserError(f"data.cfa={cfa} is unknown; choose one of {', '.join(PHASE_OFFSETS)}.")
        self.root = None if root is None else expanded(root)
        self.raw_folder = raw_folder
        self.target_folder = target_folder
        self.cfa = cfa
        self.size = None if size is None else tuple(size)
        self.folders = dict(folders or {split: split for split in SPLITS})
        self.split_list = SplitList.load(split_list) if split_list else None
        self.fractions = {"val": val_fraction, "test": test_fraction}
        self.folds, self.fold = folds, fold
        self.allow_partial = allow_partial
        self.full_resolution = full_resolution
        self.help = help

    def prepare_data(self) -> None:
        """Checks, before anything else starts, that every split has pairs and that values fit the bit depth."""
        for split in SPLITS:
            if not len(self.source(split)):
                raise UserError(f"The {split} split of {self.root} has no pairs; {self._empty(split)}.")
        self._inspect_levels()

    def open(self, split: str) -> FolderSource:
        """The pairs of a split.

        Raises:
            UserError: if the dataset or a part of it is missing.
        """
        splits, issues = self.inventory
        skip = self.on_error == "skip"
        left = [
            issue for issue in issues if not (issue.tolerable and self.allow_partial) and not (issue.skippable and skip)
        ]
        if left:
            raise UserError(self._complaint(left))
        faults = [pair.fault for pair in splits[split] if pair.fault]
        if faults and not (skip and split == "train"):
            more = f", and {len(faults) - 1:,} more of the {split} split cannot be read" if len(faults) > 1 else ""
            raise UserError(f"{self.root}: {faults[0]}{more}.")
        return self._source(splits[split])

    def survey(self) -> tuple[dict[str, PairSource], list[Issue]]:
        """The pairs that were found, and all issues, without raising an error."""
        splits, issues = self.inventory
        return {split: self._source(splits[split]) for split in SPLITS}, issues

    @cached_property
    def inventory(self) -> tuple[dict[str, list[PairFiles]], list[Issue]]:
        """The pairs of each split, and the issues with the files."""
        listings = self._listings()
        issues = [issue for listing in listings.values() for issue in listing.issues]
        if self.split_list is None:
            return self._by_folder({folder: listing.pairs for folder, listing in listings.items()}), issues
        splits: dict[str, list[PairFiles]] = {split: [] for split in SPLITS}
        for folder, listing in listings.items():
            numbers = set()
            for pair in listing.pairs:
                number = int(pair.name) if pair.name.isdecimal() else -1
                if number < 0 or (self.split_list.exact and number >= self.split_list.counts[folder]):
                    remedy = f"the files of {self.version} are numbered from 0; remove it"
                    issues.append(Issue("file that the dataset does not have", pair.raw, remedy))
                    continue
                numbers.add(number)
                if split := self.split_list.split_of(folder, number):
                    splits[split].append(pair)
            if missing := self._missing(folder, numbers):
                issues.append(missing)
        return splits, issues

    def full_mosaics(self) -> list[Path]:
        """The files of whole mosaics without targets."""
        folder = self._found_root / (self.full_resolution or "")
        if self.full_resolution is None or not folder.is_dir():
            raise UserError(f"There are no full-resolution files in {folder}; see data.full_resolution.")
        return sorted(path for path in folder.iterdir() if path.suffix.lower() in RAW_SUFFIXES)

    def _source(self, pairs: list[PairFiles]) -> FolderSource:
        return FolderSource(self._found_root, pairs, self.cfa, self.white_level, self.size)

    @property
    def _found_root(self) -> Path:
        if self.root is None:
            raise UserError(
                f"data.root has no default; give the dataset's folder: data.root=FOLDER. {self._tree('FOLDER')}"
            )
        if not self.root.is_dir():
            raise UserError(
                f"There is no folder {self.root}; set data.root to the dataset's folder. {self._tree(str(self.root))}"
            )
        return self.root

    def _listings(self) -> dict[str, Listing]:
        """The pairs of each folder; the root itself has an empty name."""
        root = self._found_root
        if self.split_list is not None:
            folders = list(self.split_list.counts)
        else:
            folders = [folder for folder in self.folders.values() if (root / folder).is_dir()] or [""]
        for folder in folders:
            for part in (self.raw_folder, self.target_folder):
                if not (root / folder / part).is_dir():
                    raise UserError(
                        f"There is no folder {root / folder / part}; set data.root to the dataset's folder. "
                        f"{self._tree(str(root))}"
                    )
        return {folder: list_pairs(root, folder, self.raw_folder, self.target_folder) for folder in folders}

    def _by_folder(self, pairs: dict[str, list[PairFiles]]) -> dict[str, list[PairFiles]]:
        """Splits by folder. Those without one are held out of train, all pairs of the same target together."""
        splits = {split: pairs[folder] for split, folder in self.folders.items() if folder in pairs}
        if "" in pairs:
            splits = {"train": pairs[""]}
        if self.folds and {"val", "test"} & splits.keys():
            raise UserError(
                f"data.folds={self.folds} makes the splits, but {self.root} has folders of its own for them."
            )
        train = splits.setdefault("train", [])
        stems = sorted({pair.stem for pair in train}, key=lambda stem: hashlib.sha256(stem.encode()).hexdigest())
        held = self._fold(stems) if self.folds else self._fractions(stems, [key for key in SPLITS if key not in splits])
        for split, names in held.items():
            splits[split] = [pair for pair in train if pair.stem in names]
        out = set().union(*held.values())
        return splits | {"train": [pair for pair in train if pair.stem not in out]}

    def _fractions(self, stems: list[str], splits: list[str]) -> dict[str, set[str]]:
        """The names of the training pairs that each split holds out."""
        held, left = {}, stems
        for split in splits:
            count = max(1, round(len(stems) * self.fractions[split])) if len(left) > 1 else 0
            held[split], left = set(left[:count]), left[count:]
        return held

    def _fold(self, stems: list[str]) -> dict[str, set[str]]:
        """The same of a cross-validation."""
        assert self.folds is not None
        return {
            "test": set(stems[self.fold :: self.folds]),
            "val": set(stems[(self.fold + 1) % self.folds :: self.folds]),
        }

    def _missing(self, folder: str, present: set[int]) -> Issue | None:
        """The issue of listed pairs that a folder lacks."""
        assert self.split_list is not None
        count, gaps = self.split_list.missing(folder, present)
        if not count:
            return None
        place = os.path.join(folder, self.raw_folder)
        first = ", ".join(f"{number}.png" for number in gaps[:3]) or "the end"
        known = "" if self.split_list.exact else "at least "
        return Issue(
            f"pair missing: {place}/ has {len(present):,} of {known}{self.split_list.counts[folder]:,}",
            f"{place}/ lacks {first}{', ...' if len(gaps) > 3 else ''}",
            "unpack the archive again, or set data.allow_partial=true to use what is there "
            f"(the results then stand under {self.version.removesuffix('-partial')}-partial)",
            tolerable=True,
            count=count,
        )

    def _complaint(self, issues: list[Issue]) -> str:
        kinds = Counter[str]()
        for issue in issues:
            kinds[issue.kind] += issue.count
        first = {issue.kind: issue for issue in reversed(issues)}
        parts = [
            f"{count:,} x {kind}, first {first[kind].place}: {first[kind].remedy}" for kind, count in kinds.items()
        ]
        return f"{self.root}: {'; '.join(parts)}."

    def _empty(self, split: str) -> str:
        if self.split_list is not None and split in self.split_list.held_out:
            folder, numbers = self.split_list.held_out[split]
            named = ", ".join(f"{folder}/{self.raw_folder}/{number}.png" for number in sorted(numbers)[:3])
            return f"the list {self.split_list.name} holds out {len(numbers)} numbers for it, {named} and so on"
        return "give it more files or a larger fraction"

    def _tree(self, root: str) -> str:
        if self.split_list is not None:
            folders = list(self.split_list.counts)
        else:
            folders = [""] if self.folders == {split: split for split in SPLITS} else list(self.folders.values())
        places = [
            [os.path.join(root, folder, part) for part in (self.raw_folder, self.target_folder)] for folder in folders
        ]
        tree = " and ".join(f"{raw}/* with {target}/*" for raw, target in places)
        return f"{self.help} Expected: {tree} of equal names.".strip()

    def _inspect_levels(self) -> None:
        """Refuses a bit depth that many files contradict, and reports the levels in use."""
        source = self.open("train")
        largest, read = 0, 0
        for index in np.linspace(0, len(source) - 1, min(_INSPECTED, len(source))).astype(int):
            try:
                largest = max(largest, int(read_mosaic(source.paths(index)[0], self.size).max()))
                read += 1
            except UserError:
                if self.on_error == "raise":
                    raise
        bits = bit_depth(self.white_level)
        if read >= _ENOUGH and largest < 2 ** (bits - 2):
            white = 2 ** bit_depth(largest) - 1
            raise UserError(
                f"No value of {read} RAW files of {self.root} exceeds {largest}, but data.white_level="
                f"{self.white_level:g} has {bits} bits; files of {bit_depth(largest)} bits need data.white_level="
                f"{white} data.black_level={round(self.black_level * white / self.white_level)}."
            )
        self.notes["levels"] = (
            f"black {self.black_level:g}, white {self.white_level:g} ({bits} bits); largest of {read} files: {largest}"
        )
        self._announce()

    @rank_zero_only
    def _announce(self) -> None:
        sizes = ", ".join(f"{len(self.source(split)):,} {split}" for split in SPLITS)
        say(f"{self.version}: {sizes} pairs; {self.notes['levels']}")


def _names_a_split_list(version: str) -> bool:
    return files("ispbench.data").joinpath("splits", f"{version}.json").is_file()
