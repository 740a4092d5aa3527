"""The order of the training samples: a pure function of the seed and the position in the training."""

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler


class TrainingSampler(Sampler):
    """Shuffles each epoch and numbers its samples.

    It yields ``(index, draw)``. ``draw`` is the sample's number in the whole training, so that a resumed run gets the
    same patches as one that was never interrupted.

    Args:
        length: The number of pairs.
        seed: The run's seed.
        rank: The rank of this process.
        world_size: How many processes share an epoch. Each takes every world_size-th sample; the remainder that does
            not divide evenly is left out of the epoch.
        epoch: The epoch to start with.
        done: How many samples of that epoch this process has already seen.
        batch_size: What one optimizer step sees. An epoch has whole batches only, however they are divided.
    """

    def __init__(
        self,
        length: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        epoch: int = 0,
        done: int = 0,
        batch_size: int = 1,
    ) -> None:
        self.length = length
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = epoch
        self._begun = (epoch, done)

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch; Lightning calls this before each one."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length // self.batch_size * self.batch_size // self.world_size

    def __iter__(self) -> Iterator[tuple[int, int]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(self.length, generator=generator).tolist()
        shared = len(self) * self.world_size
        epoch, done = self._begun
        first = self.rank + (done if epoch == self.epoch else 0) * self.world_size
        for position in range(first, shared, self.world_size):
            yield order[position], self.epoch * self.length + position
