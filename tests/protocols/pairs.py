"""Pairs whose target is displaced by a known amount."""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter, map_coordinates

from ispbench.data.datamodule import PairedDataModule
from ispbench.data.pairs import PairSource
from ispbench.raw.bayer import unpack


def scene(seed, size):
    rng = np.random.default_rng(seed)
    planes = [gaussian_filter(rng.random((size + 32, size + 32)), 2) for _ in range(3)]
    image = np.stack(planes)
    return ((image - image.min()) / (image.max() - image.min())).astype(np.float64)


def view(image, size, shift=(0.0, 0.0)):
    y, x = np.mgrid[16 : 16 + size, 16 : 16 + size].astype(float)
    places = np.stack((y + shift[1], x + shift[0]))
    return np.stack([map_coordinates(plane, places, order=3) for plane in image]).clip(0, 1)


def mosaic_of(linear, white):
    planes = np.stack([linear[0, 0::2, 0::2], linear[1, 0::2, 1::2], linear[1, 1::2, 0::2], linear[2, 1::2, 1::2]])
    return unpack(np.rint(planes * white)).astype(np.uint16)


class Shifted(PairSource):
    """Pairs whose target shows at p what the RAW shows at p + shift, in other colours."""

    def __init__(self, count=3, size=96, shift=(1.5, -1.0), white=4095):
        self.names = [f"pair{i}" for i in range(count)]
        self.fingerprint = f"shifted-{count}-{size}-{shift}"
        self.pairs = []
        for seed in range(count):
            image = scene(seed, size)
            colours = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.1, 0.2, 0.7]])
            photo = np.einsum("ij,jhw->ihw", colours, view(image, size, shift)) ** 0.8
            target = np.rint(255 * photo).astype(np.uint8).transpose(1, 2, 0)
            self.pairs.append((mosaic_of(0.5 * view(image, size) ** 2.2, white), target))

    def __len__(self):
        return len(self.pairs)

    def read(self, index):
        return self.pairs[index]


class ShiftedData(PairedDataModule):
    def __init__(self, **options):
        super().__init__(
            version="shifted-v1",
            black_level=0,
            white_level=4095,
            crop=None,
            augment=False,
            batch_size=1,
            eval_batch_size=2,
            pack="never",
        )
        self.options = options

    def open(self, split):
        return Shifted(**self.options)


def first_pair(data):
    """Canonical packed RAW, shape (4, h, w), and target, shape (3, 2h, 2w), of the first pair."""
    from ispbench.data.pairs import PairDataset

    pair = PairDataset(data.source("test"))[0]
    batch = {key: torch.from_numpy(np.ascontiguousarray(pair[key]))[None] for key in ("raw", "target")}
    batch = data.to_canonical(batch)
    return batch["raw"][0], batch["target"][0]
