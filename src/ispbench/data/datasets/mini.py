"""The embedded dataset: real photographs through a simulated sensor, made once and without downloads.

The photographs ship with scikit-image and scikit-learn. Those of validation and test never occur in training, which
also has procedural dead-leaves images in the colors of its own photographs. Results on it are labeled as simulated.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from ispbench.data.cache import build_once, cache_folder
from ispbench.data.datamodule import PairedDataModule
from ispbench.data.pairs import Pair, PairSource
from ispbench.errors import UserError
from ispbench.raw.dead_leaves import dead_leaves
from ispbench.raw.simulate import expose, sample_capture, unprocess

VERSION = "mini-v1"
PHOTOS = {
    "train": (
        "skimage:astronaut.png",
        "skimage:motorcycle_left.png",
        "skimage:hubble_deep_field.jpg",
        "sklearn:flower.jpg",
    ),
    "val": ("skimage:chelsea.png",),
    "test": ("sklearn:china.jpg", "skimage:coffee.png", "skimage:rocket.jpg"),
}
_PACKAGES = {"skimage": "skimage.data", "sklearn": "sklearn.datasets.images"}
_VAL_CAPTURES = 4  # how often the one validation photograph is captured, each time under another light
_LEAVES_SHARE = 0.5


class ArraySource(PairSource):
    """A split in two memory-mapped arrays.

    Args:
        folder: It holds ``<split>-raw.npy``, ``<split>-target.npy`` and ``index.json``.
        split: train, val or test.
    """

    def __init__(self, folder: Path, split: str) -> None:
        index = json.loads((folder / "index.json").read_text())[split]
        self.names: Sequence[str] = index["names"]
        self.fingerprint: str = index["sha256"]
        self._raw = np.load(folder / f"{split}-raw.npy", mmap_mode="r")
        self._target = np.load(folder / f"{split}-target.npy", mmap_mode="r")

    def read(self, index: int) -> Pair:
        """The mosaic in DN, shape (H, W), and the sRGB target, shape (H, W, 3)."""
        return self._raw[index], self._target[index]


class MiniData(PairedDataModule):
    """Simulated pairs of the embedded photographs.

    Args:
        num_train: The number of training tiles, half of them photographs, half dead leaves.
        tile: Side of the tiles in pixels, even.
        data_seed: Seed of the simulation; another seed gives another dataset, with another fingerprint.
        cache: Folder for the arrays; None for the user's cache folder.
        **options: See `PairedDataModule`.

    Raises:
        UserError: for a tile or number out of range.
    """

    in_memory = True

    def __init__(self, *, num_train: int, tile: int, data_seed: int, cache: str | None, **options: Any) -> None:
        super().__init__(version=VERSION, simulated=True, **options)
        if tile % 2 or not 32 <= tile <= 256:
            raise UserError(f"data.tile is an even number from 32 to 256, not {tile}.")
        if num_train < 1:
            raise UserError(f"data.num_train is at least 1, not {num_train}.")
        self.num_train = num_train
        self.tile = tile
        self.data_seed = data_seed
        self.cache = cache

    def prepare_data(self) -> None:
        """Simulates the dataset unless it is in the cache."""
        self._folder()

    def open(self, split: str) -> ArraySource:
        """The pairs of a split."""
        return ArraySource(self._folder(), split)

    def _folder(self) -> Path:
        settings = f"{self.num_train}-{self.tile}-{self.data_seed}-{self.black_level}-{self.white_level}"
        return build_once(cache_folder(self.cache) / VERSION / settings, self._build)

    def _build(self, folder: Path) -> None:
        index = {}
        for number, split in enumerate(PHOTOS):
            rng = np.random.default_rng((self.data_seed, number))
            names, raws, targets = [], [], []
            tiles = self._training_tiles(rng) if split == "train" else self._held_out_tiles(split)
            total = self.num_train if split == "train" else sum(1 for _ in self._held_out_tiles(split))
            for name, target in track(tiles, f"Simulating {VERSION} {split}", total):
                capture = sample_capture(rng)
                mosaic = expose(unprocess(target, capture), capture, rng, int(self.black_level), int(self.white_level))
                names.append(f"{name}@{capture.camera}-{capture.temperature:.0f}K-iso{capture.iso:.0f}")
                raws.append(mosaic)
                targets.append(target)
            raw, target = np.stack(raws), np.stack(targets)
            np.save(folder / f"{split}-raw.npy", raw)
            np.save(folder / f"{split}-target.npy", target)
            index[split] = {
                "names": names,
                "sha256": hashlib.sha256(raw.tobytes() + target.tobytes()).hexdigest(),
            }
        (folder / "index.json").write_text(json.dumps(index))

    def _training_tiles(self, rng: np.random.Generator) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        photos = [read_photo(name) for name in PHOTOS["train"]]
        palettes = [photo.reshape(-1, 3) for photo in photos]
        for number in range(self.num_train):
            which = int(rng.integers(len(photos)))
            if number < self.num_train * _LEAVES_SHARE:
                yield f"leaves-{number:05d}", dead_leaves(self.tile, palettes[which], rng)
                continue
            photo = _shrink(photos[which], float(rng.uniform(0.5, 1.0)), self.tile)
            top, left = (int(rng.integers(side - self.tile + 1)) for side in photo.shape[:2])
            yield f"{_stem(PHOTOS['train'][which])}-{number:05d}", _tile(photo, top, left, self.tile)

    def _held_out_tiles(self, split: str) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        for capture in range(_VAL_CAPTURES if split == "val" else 1):
            for name in PHOTOS[split]:
                photo = read_photo(name)
                for top in range(0, photo.shape[0] - self.tile + 1, self.tile):
                    for left in range(0, photo.shape[1] - self.tile + 1, self.tile):
                        yield f"{_stem(name)}-{top}-{left}-{capture}", _tile(photo, top, left, self.tile)


def read_photo(name: str) -> NDArray[np.uint8]:
    """A photograph of `PHOTOS`, shape (H, W, 3), sRGB."""
    package, file = name.split(":")
    resource = files(_PACKAGES[package]).joinpath(file)
    if not resource.is_file():
        raise UserError(
            f"The installed {package} does not ship {file}, which data=mini is made of; "
            "install the versions of constraints.txt."
        )
    image = cv2.imdecode(np.frombuffer(resource.read_bytes(), np.uint8), cv2.IMREAD_COLOR_RGB)
    return np.asarray(image, np.uint8)


def _shrink(photo: NDArray[np.uint8], scale: float, minimum: int) -> NDArray[np.uint8]:
    """Downsamples by area, but no side below `minimum` pixels."""
    scale = min(1.0, max(scale, minimum / min(photo.shape[:2])))
    height, width = (max(round(side * scale), minimum) for side in photo.shape[:2])
    return np.asarray(cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _tile(photo: NDArray[np.uint8], top: int, left: int, size: int) -> NDArray[np.uint8]:
    return photo[top : top + size, left : left + size]


def _stem(name: str) -> str:
    return name.split(":")[1].split(".")[0]
