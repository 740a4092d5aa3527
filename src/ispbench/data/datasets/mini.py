"""The embedded dataset: photographs of installed packages through simulated sensors. No download, nothing cached.

Photographs of validation and test never occur in training, which adds procedural dead-leaves images: half of their
colors are those of the training photographs, half are any.
"""

import hashlib
from importlib.resources import files
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ispbench.data.datasets.simulated import SimulatedData
from ispbench.data.photographs import Photograph, shrink
from ispbench.errors import UserError
from ispbench.raw.dead_leaves import dead_leaves

VERSION = "mini-v2"
# The two motorcycles are views of one scene.
PHOTOS = {
    "train": (
        "skimage:astronaut.png",
        "skimage:chelsea.png",
        "skimage:hubble_deep_field.jpg",
        "skimage:ihc.png",
        "skimage:motorcycle_left.png",
        "skimage:motorcycle_right.png",
        "skimage:retina.jpg",
    ),
    "val": ("skimage:rocket.jpg", "matplotlib:grace_hopper.jpg"),
    "test": ("skimage:coffee.png", "sklearn:china.jpg", "sklearn:flower.jpg"),
}
_PACKAGES = {
    "skimage": "skimage.data",
    "sklearn": "sklearn.datasets.images",
    "matplotlib": "matplotlib.mpl-data.sample_data",
}
_LEAVES_SIDE = 384


class MiniData(SimulatedData):
    """Simulated pairs of the embedded photographs.

    Args:
        leaves: The number of dead-leaves images; training cuts half of its crops of them.
        megapixels: The size that a photograph has at most.
        **options: See `SimulatedData`.
    """

    def __init__(self, *, leaves: int, megapixels: float, **options: Any) -> None:
        super().__init__(version=VERSION, **options)
        if leaves < 1:
            raise UserError(f"data.leaves is at least 1, not {leaves}.")
        self.leaves = leaves
        self.megapixels = megapixels

    def photographs(self, split: str) -> list[Photograph]:
        """The photographs of a split; in training every second one is a dead-leaves image."""
        photos = [shrink(read_photo(name), megapixels=self.megapixels) for name in PHOTOS[split]]
        found = [_photograph(_stem(name), photo) for name, photo in zip(PHOTOS[split], photos, strict=True)]
        if split != "train":
            return found
        leaves = self._leaves(np.concatenate([photo.reshape(-1, 3) for photo in photos]))
        count = max(len(found), len(leaves))
        return [group[number % len(group)] for number in range(count) for group in (found, leaves)]

    def _leaves(self, colors: NDArray[np.uint8]) -> list[Photograph]:
        rng = np.random.default_rng(self.data_seed)
        side = max(_LEAVES_SIDE, self.crop or 0)
        palette = np.concatenate((rng.choice(colors, 4096), rng.integers(0, 256, (4096, 3)).astype(np.uint8)))
        return [_photograph(f"leaves-{number:02d}", dead_leaves(side, palette, rng)) for number in range(self.leaves)]


def read_photo(name: str) -> NDArray[np.uint8]:
    """A photograph of `PHOTOS`, shape (H, W, 3), sRGB."""
    package, file = name.split(":")
    root, *parts = _PACKAGES[package].split(".")
    resource = files(root).joinpath(*parts, file)
    if not resource.is_file():
        raise UserError(
            f"The installed {package} does not ship {file}, which data=mini is made of; "
            "install the versions of constraints.txt."
        )
    image = cv2.imdecode(np.frombuffer(resource.read_bytes(), np.uint8), cv2.IMREAD_COLOR_RGB)
    return np.asarray(image, np.uint8)


def _photograph(name: str, pixels: NDArray[np.uint8]) -> Photograph:
    return Photograph(name, hashlib.sha256(pixels.tobytes()).hexdigest()[:24], pixels)


def _stem(name: str) -> str:
    return name.split(":")[1].split(".")[0]
