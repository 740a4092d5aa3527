"""A handful of random pairs as a dataset."""

import numpy as np
import torch

from ispbench.data.datamodule import PairedDataModule
from ispbench.data.pairs import PairSource


class ToySource(PairSource):
    def __init__(self, count, size):
        self.names = [f"toy{number}" for number in range(count)]
        self.size = size
        self.fingerprint = f"{count}-{size}".encode().hex()

    def read(self, index):
        rng = np.random.default_rng(index)
        mosaic = rng.integers(64, 1024, self.size, dtype=np.uint16)
        return mosaic, rng.integers(0, 256, (*self.size, 3), dtype=np.uint8)


class ToyData(PairedDataModule):
    def __init__(self, count=5, size=(24, 32), batch_size=2):
        super().__init__(
            version="toy-v1",
            black_level=64,
            white_level=1023,
            crop=None,
            augment=False,
            batch_size=1,
            eval_batch_size=batch_size,
            pack="never",
        )
        self.count, self.size = count, size

    def open(self, split):
        return ToySource(self.count, self.size)


def images_of(data, split="test"):
    """Canonical RAW and targets of all pairs."""
    batches = [data.to_canonical(batch) for batch in data.evaluation_loader(split)]
    return tuple(torch.cat([batch[key] for batch in batches]) for key in ("raw", "target"))
