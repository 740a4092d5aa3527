"""Pairs from camera files: tiles of the bare sensor, with LibRaw's rendering or the camera's own JPEG as target.

Every file is developed once into the cache (5 bytes per pixel) and then read through a memory map. Its levels are
mapped to one scale of sensor numbers for the whole dataset, so that files of different cameras can be mixed.
"""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from ispbench.console import warn
from ispbench.data import SPLITS
from ispbench.data.cache import build_once, cache_folder, cached
from ispbench.data.datamodule import PairedDataModule
from ispbench.data.datasets.camera_tiles import CameraSource, Developed
from ispbench.data.image_files import inspect_file, show_path
from ispbench.data.sealed import DamagedError, sealed_json, write_array
from ispbench.errors import UserError
from ispbench.files import expanded, free_space
from ispbench.raw.camera_file import SUFFIXES, CameraFile, libraw_version, opened, read_camera
from ispbench.raw.camera_targets import camera_jpeg, libraw_rendering

VERSION = "camera-v1"
_DEVELOPMENT = 3  # raised when the same file is developed into other numbers or another form
_BYTES_PER_PIXEL = 5  # 2 of the mosaic, 3 of the target


def _with_rendering(camera: CameraFile) -> tuple[CameraFile, NDArray[np.uint8]]:
    return camera, libraw_rendering(camera)


TARGETS: dict[str, Callable[[CameraFile], tuple[CameraFile, NDArray[np.uint8]]]] = {
    "libraw": _with_rendering,
    "embedded": camera_jpeg,
}


class CameraData(PairedDataModule):
    """A folder of camera files, of one camera or of many.

    Splits consist of whole files, so that no photo is in two of them: the files of ``root/train``, ``root/val`` and
    ``root/test``. A split without a folder is held out of the training files by a hash of the names. The version names
    the target: ``camera-v1-libraw`` or ``camera-v1-embedded``.

    Args:
        root: The folder; its subfolders are searched, too.
        target: ``libraw`` for LibRaw's rendering, ``embedded`` for the camera's own full-size JPEG.
        tile: Side of the tiles in pixels, even.
        val_fraction: Fraction of the training files held out for validation, at least one file.
        test_fraction: Fraction of the training files held out for testing, at least one file.
        cache: Folder for the developed files; None for the user's cache folder.
        **options: See `PairedDataModule`. Every file is mapped to these black and white levels.

    Raises:
        UserError: for an unknown target, or a tile or white level out of range.
    """

    root: Path

    def __init__(
        self,
        *,
        root: str,
        target: str,
        tile: int,
        val_fraction: float,
        test_fraction: float,
        cache: str | None,
        **options: Any,
    ) -> None:
        if target not in TARGETS:
            raise UserError(f"data.target={target} is unknown; choose one of {', '.join(TARGETS)}.")
        if tile % 2 or tile < 32:
            raise UserError(f"data.tile is an even number of at least 32 pixels, not {tile}.")
        options.setdefault("target_set", "own-split")  # files and splits are the user's own
        super().__init__(version=f"{VERSION}-{target}", cache=cache, **options)
        if self.white_level > 65535:
            raise UserError(f"data.white_level={self.white_level:g} does not fit into 16 bits; it is at most 65535.")
        self.root = expanded(root)
        self.target = target
        self.tile = tile
        self.fractions = {"val": val_fraction, "test": test_fraction}
        self._splits: dict[str, list[Developed]] = {}

    def prepare_data(self) -> None:
        """Develops the files that are not in the cache, and reports what had to be assumed."""
        if self._splits:
            return
        self._developed()
        for name, note in self.notes.items():
            warn(f"{name}: {note}.")

    def open(self, split: str) -> CameraSource:
        """The tiles of a split."""
        return CameraSource(self._developed()[split], self.tile)

    def _developed(self) -> dict[str, list[Developed]]:
        if not self._splits:
            paths = split_files(self.root, self.fractions)
            sound = [path for split in SPLITS for path in paths[split] if not _fault(path)]
            new = [path for path in sound if not self._place(path).is_dir()]
            self._check_disk_space(new)
            number = sum(map(len, paths.values()))
            work = ((split, path) for split in SPLITS for path in paths[split])
            splits: dict[str, list[Developed]] = {split: [] for split in SPLITS}
            for split, path in track(work, "Developing camera files", number, transient=True, disable=not new):
                try:
                    splits[split].append(self._develop(path))
                except UserError as error:
                    if split != "train" or self.on_error == "raise":
                        raise
                    warn(f"skipped a camera file (data.on_error=skip): {error}")
                    self.skipped[str(error)] += 1
            if not splits["train"]:
                raise UserError(f"No camera file of the training split of {self.root} can be used.")
            _refuse_copies(splits)
            self.notes = {
                file.name: "; ".join(file.about["assumed"])
                for split in SPLITS
                for file in splits[split]
                if file.about["assumed"]
            }
            self._splits = splits
        return self._splits

    def _develop(self, path: Path) -> Developed:
        if fault := _fault(path):
            raise UserError(f"{fault}.")
        file = self._developed_once(path)
        if min(file.about["height"], file.about["width"]) < self.tile:
            raise UserError(
                f"{path} is {file.about['width']}x{file.about['height']}, smaller than data.tile={self.tile}; lower "
                "data.tile or remove the file."
            )
        return file

    def _developed_once(self, path: Path) -> Developed:
        """The file in the cache; developed again if that is damaged."""
        place = self._place(path)
        file = Developed(path.relative_to(self.root).as_posix(), place)
        if place.is_dir():
            try:
                file.about, file.planes  # noqa: B018  opening them verifies them
                return file
            except (DamagedError, FileNotFoundError):
                warn(f"{place} in the cache is damaged; {path.name} is developed again.")
                shutil.rmtree(place)
        build_once(place, lambda scratch: self._build(path, scratch))
        return file

    def _build(self, path: Path, folder: Path) -> None:
        camera, target = TARGETS[self.target](read_camera(path))
        write_array(folder / "raw.npy", camera.rescaled(self.black_level, self.white_level))
        write_array(folder / "target.npy", target)
        height, width = camera.mosaic.shape
        about = {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "libraw": libraw_version(),
            "height": height,
            "width": width,
            "phase": camera.phase,
            "black_levels": camera.black_levels.tolist(),
            "white_levels": camera.white_levels.tolist(),
            "white_balance": camera.white_balance.tolist(),
            "matrix": None if camera.matrix is None else camera.matrix.tolist(),
            "assumed": camera.assumed,
        }
        (folder / "about.json").write_text(sealed_json(about), encoding="utf-8")

    def _place(self, path: Path) -> Path:
        """The cache folder of a developed file; another one as soon as anything that affects it changes."""
        status = path.stat()
        identity = (str(path.resolve()), status.st_size, status.st_mtime_ns, libraw_version())
        settings = (self.black_level, self.white_level, _DEVELOPMENT)
        key = hashlib.sha256(repr((identity, settings)).encode()).hexdigest()[:16]
        return cached(Path(self.version, f"{path.stem}-{key}"), self.cache)

    def _check_disk_space(self, paths: Sequence[Path]) -> None:
        """Refuses, before the first file is developed, if there is no room for all of them."""
        needed = 0
        for path in paths:
            with suppress(UserError), opened(path) as raw:  # a bad file is told when it is developed
                needed += _BYTES_PER_PIXEL * raw.sizes.height * raw.sizes.width
        free, place = free_space(cache_folder(self.cache))
        if needed > free:
            raise UserError(
                f"Developing {len(paths)} camera files needs {needed / 1e9:.1f} GB in {place}, which has "
                f"{free / 1e9:.1f} GB left; free some space or set data.cache to another folder."
            )


def split_files(root: Path, fractions: dict[str, float]) -> dict[str, list[Path]]:
    """The camera files of each split, by name.

    Args:
        root: The dataset's folder.
        fractions: Fractions for ``val`` and ``test``, held out of the training files if they have no folder.

    Raises:
        UserError: if a split would be empty.
    """
    if not root.is_dir():
        raise UserError(
            f"There is no folder {root}; set data.root to a folder of camera files (.dng, .nef, .cr2, ...)."
        )
    folders = {split: root / split for split in SPLITS if (root / split).is_dir()} or {"train": root}
    splits = {split: _camera_files(folder) for split, folder in folders.items()}
    rest = sorted(splits.get("train", []), key=lambda path: hashlib.sha256(path.name.encode()).hexdigest())
    total = len(rest)
    for split, fraction in fractions.items():
        if split not in splits:
            count = max(1, round(total * fraction))
            splits[split], rest = rest[:count], rest[count:]
    splits["train"] = rest
    for split in SPLITS:
        if not splits[split]:
            raise UserError(
                f"{root} has {total} camera files, which leaves none for the {split} split; training, validation and "
                "test need one at least. To render single files, use: ispbench render FILE."
            )
    return {split: sorted(splits[split]) for split in SPLITS}


def _camera_files(folder: Path) -> list[Path]:
    return [
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and not path.is_dir()
    ]


def _fault(path: Path) -> str:
    return inspect_file(path, show_path(path))[1]


def _refuse_copies(splits: dict[str, list[Developed]]) -> None:
    """Refuses a photo under two names, which would leak from training into the test."""
    seen: dict[str, tuple[str, str]] = {}
    for split, files in splits.items():
        for file in files:
            other_split, other = seen.setdefault(file.about["sha256"], (split, file.name))
            if other_split != split:
                raise UserError(
                    f"{other} of the {other_split} split and {file.name} of the {split} split are the same file; "
                    "remove one."
                )
