"""RAW and sRGB pairs: where they come from, and how training patches are cropped, flipped and rotated."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from ispbench.errors import UserError
from ispbench.raw.bayer import pack

_TRIES = 100  # unreadable neighbors in a row before a training gives up

Pair = tuple[NDArray[np.uint16], NDArray[np.uint8]]


class PairSource(ABC):
    """One split of a dataset. A new kind of dataset sets `names` and `fingerprint` and implements `read`.

    Attributes:
        names: The names of the pairs, in order.
        fingerprint: A hash that changes with the pairs, their order and their sizes.
        thread_safe: Whether several threads may call `read` at the same time.
        columns: What is known of each pair beside its name, such as ``camera``; scores are broken down by it.
    """

    names: Sequence[str]
    fingerprint: str
    thread_safe: bool = False
    columns: Mapping[str, Sequence[str]] = MappingProxyType({})

    def __len__(self) -> int:
        return len(self.names)

    @abstractmethod
    def read(self, index: int) -> Pair:
        """Reads one pair.

        Returns:
            The RGGB mosaic in DN, shape (H, W), uint16, and the sRGB target, shape (H, W, 3), uint8.

        Raises:
            UserError: naming the file that cannot be read.
        """

    @cached_property
    def stamp(self) -> str:
        """A hash that changes whenever the files on this disk do, so that an outdated packed copy is noticed."""
        return self.fingerprint

    def stored_bits(self, index: int) -> int | None:
        """The bits of a RAW value in the pair's own file, 8 or 16; None for pairs that are not such files."""
        return None


@runtime_checkable
class SampleSource(Protocol):
    """A source that makes every training sample anew."""

    def sample(self, index: int, crop: int | None, rng: np.random.Generator) -> Pair:
        """A crop of a pair; `rng` decides all that is random about it."""
        ...


class UnreadablePairError(UserError):
    """A pair that cannot be read. The message is the same in the training process as in the loader process."""

    def __init__(self, sentence: str) -> None:
        # A loader process passes an error on as its printed traceback, which ends with the sentence.
        super().__init__(sentence.rpartition(f"{type(self).__qualname__}: ")[2].strip())


class PairDataset(Dataset):
    """Pairs as a network takes them: packed RAW and target, still as stored. The datamodule scales them on the device.

    Args:
        source: The pairs.
        crop: Side of the random patch to cut, even; None for whole images.
        augment: Whether to flip and rotate the patches at random.
        seed: Decides crops and flips, together with a sample's number in the training.
        skip: Whether to replace an unreadable pair by the next one. Each sample then lists the reasons in ``skipped``,
            one line per pair left out.
    """

    def __init__(
        self, source: PairSource, crop: int | None = None, augment: bool = False, seed: int = 0, skip: bool = False
    ) -> None:
        self.source = source
        self.crop = crop
        self.augment = augment
        self.seed = seed
        self.skip = skip

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Any]:
        """One pair.

        Args:
            key: The pair's index, or its index and the number of this sample in the whole training. That number and
                the seed alone decide the random choices, so that workers, devices and interruptions change nothing.

        Returns:
            ``raw`` uint16 (4, h, w), ``target`` uint8 (3, 2h, 2w), ``index``, ``name``.

        Raises:
            UnreadablePairError: naming the file.
        """
        return self._sample(key)

    def __getitems__(self, keys: Sequence[int | tuple[int, int]]) -> list[dict[str, Any]]:
        """The pairs of one batch, which have to be of one size.

        Raises:
            UnreadablePairError: naming a pair that is of another size than the most, unless such pairs are skipped.
        """
        samples = [self._sample(key) for key in keys]
        sizes = Counter(sample["target"].shape for sample in samples)
        usual = max(sizes, key=lambda size: sizes[size])
        return [
            sample if sample["target"].shape == usual else self._sample(key, usual)
            for key, sample in zip(keys, samples, strict=True)
        ]

    def _sample(self, key: int | tuple[int, int], size: tuple[int, ...] | None = None) -> dict[str, Any]:
        """A sample, or where its target is not of this size, the next one that is."""
        index, draw = key if isinstance(key, tuple) else (key, 0)
        rng = np.random.default_rng((self.seed, draw))
        skipped: list[str] = []
        while True:
            try:
                mosaic, target = self._read(index, rng)
                if self.augment:
                    mosaic, target = random_flip(mosaic, target, rng)
                if size is None or (target.shape[2], *target.shape[:2]) == size:
                    break
                raise UserError(
                    f"{self.source.names[index]} gives {target.shape[1]}x{target.shape[0]} pixels to a batch of "
                    f"{size[2]}x{size[1]}; images of different sizes need data.crop for training, not larger than the "
                    "smallest, and data.eval_batch_size=1."
                )
            except UserError as error:
                skipped.append(str(error))
                if not self.skip:
                    raise UnreadablePairError(str(error)) from error
                if len(skipped) >= min(_TRIES, len(self)):
                    raise UnreadablePairError(
                        f"{len(skipped)} pairs in a row cannot be read; run ispbench data check. The last: {error}"
                    ) from error
                index = (index + 1) % len(self)
        sample = {
            "raw": pack(mosaic),
            "target": np.ascontiguousarray(target.transpose(2, 0, 1)),
            "index": index,
            "name": self.source.names[index],
        }
        return sample | {"skipped": "\n".join(skipped)} if self.skip else sample

    def _read(self, index: int, rng: np.random.Generator) -> Pair:
        """A pair, cropped; a source that draws its samples crops first, so that it need not make a whole image."""
        if isinstance(self.source, SampleSource) and self.crop is not None:
            return self.source.sample(index, self.crop, rng)
        mosaic, target = self.source.read(index)
        return (mosaic, target) if self.crop is None else random_crop(mosaic, target, self.crop, rng)


def random_crop(mosaic: NDArray, target: NDArray, size: int, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Crops both to the same patch, at an even offset. A side that is shorter than `size` stays whole."""
    height, width = mosaic.shape
    top = 2 * int(rng.integers(max(height - size, 0) // 2 + 1))
    left = 2 * int(rng.integers(max(width - size, 0) // 2 + 1))
    window = (slice(top, top + size), slice(left, left + size))
    return mosaic[window], target[window]


def random_flip(mosaic: NDArray, target: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """One of the eight flips and quarter rotations, the same for both images; the mosaic is still RGGB afterwards.

    Transposing keeps R and B in place. Mirroring about a column of pixels, rather than about the border, keeps the CFA
    phase. It leaves the last column without a source; that one is filled by mirroring at the other end, in both images.
    """
    flip_rows, flip_columns, transpose = rng.integers(2, size=3)
    if flip_rows:
        mosaic, target = mosaic[_phase_flip(len(mosaic))], target[_phase_flip(len(target))]
    if flip_columns:
        mosaic, target = mosaic[:, _phase_flip(mosaic.shape[1])], target[:, _phase_flip(target.shape[1])]
    if transpose:
        mosaic, target = mosaic.T, target.swapaxes(0, 1)
    return mosaic, target


def _phase_flip(length: int) -> NDArray[np.intp]:
    return np.abs(np.arange(length - 2, -2, -1))
