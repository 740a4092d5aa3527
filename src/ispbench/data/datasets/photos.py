"""Any photographs through simulated sensors: those of a folder, or a named set."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.progress import track

from ispbench.console import warn
from ispbench.data.cache import cache_folder
from ispbench.data.datamodule import SPLITS
from ispbench.data.datasets.simulated import SimulatedData
from ispbench.data.photo_sets import find_files, hash_files, load_set, missing_of, set_names, sets_folder
from ispbench.data.photographs import SUFFIXES, Photograph, cached_photograph
from ispbench.errors import UserError
from ispbench.files import expanded

Files = dict[str, list[tuple[str, Path, str]]]  # of each split: name, path and SHA-256


class PhotosData(SimulatedData):
    """Simulated pairs of photographs in folders.

    Args:
        root: A folder or a list of folders, searched with all folders below; None: where ``ispbench data fetch`` puts
            a set.
        photo_set: A named set, which the root must hold, whatever else it holds; ``auto``: one that the root holds, or
            else all photographs of the root; None: these in any case.
        version: Names the photographs of a root in the protocol. A set has its own name.
        splits: ``val`` and ``test``, each a list of file names without folders; the rest is for training. None: by a
            hash of each photograph, so that further photographs move none.
        val_fraction: Share of the photographs that the hash gives to validation.
        test_fraction: Share of the photographs that the hash gives to the test.
        downscale: The factor by which photographs are shrunk at least.
        megapixels: The size of a validation or test photograph, at most.
        train_megapixels: The size of a training photograph, at most.
        **options: See `SimulatedData`.

    Raises:
        UserError: if there are no photographs, or some are unsuitable or there twice.
    """

    def __init__(
        self,
        *,
        root: str | Sequence[str] | None,
        photo_set: str | None,
        version: str,
        splits: Mapping[str, Sequence[str]] | None,
        val_fraction: float,
        test_fraction: float,
        downscale: float,
        megapixels: float | None,
        train_megapixels: float | None,
        **options: Any,
    ) -> None:
        self.roots = [expanded(item) for item in ([root] if isinstance(root, str) else root or [])]
        hashes = _hashes(self.roots, options["cache"], options.get("on_error") == "skip")
        found = photo_set if photo_set != "auto" else _held_set(hashes)
        super().__init__(version=found or version, **options)
        if downscale < 1 or any(size is not None and size <= 0 for size in (megapixels, train_megapixels)):
            raise UserError("data.downscale is at least 1, data.megapixels and data.train_megapixels are above 0.")
        if min(val_fraction, test_fraction) <= 0 or val_fraction + test_fraction >= 1:
            raise UserError("data.val_fraction and data.test_fraction are above 0, and below 1 together.")
        self.size = {"downscale": downscale, "megapixels": megapixels}
        self.train_size = {"downscale": downscale, "megapixels": train_megapixels}
        if found:
            self._files = _files_of(found, hashes)
        elif splits:
            self._files = _listed(splits, hashes)
        else:
            self._files = _by_hash(val_fraction, test_fraction, hashes)
        for split, files in self._files.items():
            if not files:
                raise UserError(
                    f"The {split} split has no photograph among {len(hashes)}; add photographs, or name them in "
                    "data.splits={val: [FILE, ...], test: [FILE, ...]}."
                )
        self.notes["photographs"] = ", ".join(f"{len(files)} {split}" for split, files in self._files.items())

    def photographs(self, split: str) -> list[Photograph]:
        """The photographs of a split, decoded and shrunk unless the cache has them."""
        size = self.train_size if split == "train" else self.size
        found = []
        for name, path, sha256 in track(self._files[split], f"Reading {split} photographs", transient=True):
            try:
                photograph = cached_photograph(path, name, sha256, self.cache, **size)
                self.refuse_unfit(photograph, split)
            except UserError as error:
                if split != "train" or self.on_error == "raise":
                    raise
                warn(f"skipped a photograph (data.on_error=skip): {error}")
                self.skipped[str(error)] += 1
            else:
                found.append(photograph)
        return found


def _hashes(roots: Sequence[Path], cache: str | None, skip: bool) -> dict[Path, str]:
    """The SHA-256 of all photographs below some folders; without any, of the sets that were downloaded."""
    sets = sets_folder(cache_folder(cache))
    paths = find_files(roots or ([sets] if sets.is_dir() else []), skip)
    if not paths and not roots:
        raise UserError(
            "data=photos needs photographs: give a folder of yours, data.root=FOLDER, or download a set once: "
            f"ispbench data fetch {set_names()[0]}"
        )
    if not paths:
        places = ", ".join(map(str, roots))
        raise UserError(f"There are no photographs ({', '.join(SUFFIXES)}) in {places}; set data.root to their folder.")
    return hash_files(paths, cache)


def _held_set(hashes: Mapping[Path, str]) -> str | None:
    """The set whose files are all there; None if there is none."""
    return next((name for name in set_names() if not missing_of(name, hashes)), None)


def _files_of(name: str, hashes: Mapping[Path, str]) -> Files:
    """The files of a set, whatever else there is."""
    if missing := missing_of(name, hashes):
        raise UserError(
            f"{len(missing)} of {len(load_set(name))} photographs of {name} are missing, first {missing[0].file}; "
            f"download them: ispbench data fetch {name}"
        )
    paths = {sha256: path for path, sha256 in hashes.items()}
    files: Files = {split: [] for split in SPLITS}
    for item in load_set(name):
        files[item.split].append((Path(item.file).stem, paths[item.sha256], item.sha256))
    return files


def _listed(splits: Mapping[str, Sequence[str]], hashes: Mapping[Path, str]) -> Files:
    """The files by the list of those held out of training."""
    if set(splits) != {"val", "test"}:
        raise UserError("data.splits names the photographs of val and of test: {val: [a.jpg], test: [b.jpg]}.")
    present = {path.name for path in hashes}
    if unknown := [file for files in splits.values() for file in files if file not in present]:
        raise UserError(f"data.splits names {unknown[0]}, but there is no such file in data.root.")
    if both := set(splits["val"]) & set(splits["test"]):
        raise UserError(f"data.splits names {min(both)} in both val and test; a photograph has one split.")
    split_of = {file: split for split, files in splits.items() for file in files}
    files: Files = {split: [] for split in SPLITS}
    for name, path, sha256 in _named(hashes):
        files[split_of.get(path.name, "train")].append((name, path, sha256))
    return files


def _by_hash(val_fraction: float, test_fraction: float, hashes: Mapping[Path, str]) -> Files:
    """The files by their hashes alone, so that further photographs move none to another split."""
    files: Files = {split: [] for split in SPLITS}
    for name, path, sha256 in _named(hashes):
        place = int(sha256[:8], 16) / 2**32
        split = "test" if place < test_fraction else "val" if place < test_fraction + val_fraction else "train"
        files[split].append((name, path, sha256))
    return files


def _named(hashes: Mapping[Path, str]) -> list[tuple[str, Path, str]]:
    """Names, paths and hashes; photographs of one name bear that of their folder too."""
    first: dict[str, Path] = {}
    for path, sha256 in hashes.items():
        if sha256 in first:
            raise UserError(f"{first[sha256]} and {path} are the same photograph; remove one, or both may be scored.")
        first[sha256] = path
    stems = Counter(path.stem for path in hashes)
    return [
        (path.stem if stems[path.stem] == 1 else f"{path.parent.name}-{path.name}", path, sha256)
        for path, sha256 in hashes.items()
    ]
