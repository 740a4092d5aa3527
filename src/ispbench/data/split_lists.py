"""Fixed split lists of datasets whose files are numbered, shipped in ``splits/`` and guarded by hashes.

A list says which numbers of a folder are held out of training. Numbers are held out in blocks of 32 neighbors, since
neighboring crops may come from one photo. The blocks were chosen by a hash (`choose_blocks`), not by hand.

    >>> SplitList.load("zrr-v1").split_of("train", 0)
    'train'
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files

import numpy as np

BLOCK = 32


@dataclass(frozen=True)
class SplitList:
    """What is held out of which folder.

    Attributes:
        name: Of the list and of its file.
        counts: Folder to the number of pairs it has when it is whole.
        exact: Whether that number is exact, and the numbers run from 0; else it is a minimum, and they have no gaps.
        whole: Folder to the split of what is not held out of it.
        held_out: Split to its folder and the numbers.
    """

    name: str
    counts: Mapping[str, int]
    exact: bool
    whole: Mapping[str, str]
    held_out: Mapping[str, tuple[str, frozenset[int]]]

    @classmethod
    def load(cls, name: str) -> "SplitList":
        """Reads a shipped list and compares it with its hashes.

        Raises:
            ValueError: if the file was altered.
        """
        content = json.loads(files("ispbench.data").joinpath("splits", f"{name}.json").read_text())
        held_out = {}
        for split, entry in content["held_out"].items():
            numbers = [n for first, last in entry["ranges"] for n in range(first, last + 1)]
            if hash_numbers(entry["folder"], numbers) != entry["sha256"] or len(numbers) != entry["count"]:
                raise ValueError(f"the {split} list of {name} does not have its hash; reinstall ispbench")
            held_out[split] = (entry["folder"], frozenset(numbers))
        return cls(name, content["counts"], content["exact"], content["whole"], held_out)

    def split_of(self, folder: str, number: int) -> str | None:
        """The split of a numbered pair of a folder; None if it has none."""
        for split, (place, numbers) in self.held_out.items():
            if place == folder and number in numbers:
                return split
        return self.whole.get(folder)

    def missing(self, folder: str, present: Iterable[int]) -> tuple[int, list[int]]:
        """How many pairs a folder lacks, and the numbers known to be missing, in order."""
        numbers = set(present)
        first = 0 if self.exact or not numbers else min(numbers)
        end = self.counts[folder] if self.exact else max(numbers, default=0) + 1
        gaps = sorted(set(range(first, end)) - numbers)
        return max(len(gaps), self.counts[folder] - len(numbers)), gaps


def hash_numbers(folder: str, numbers: Iterable[int]) -> str:
    """SHA-256 of the lines ``FOLDER/NUMBER`` in the given order."""
    return hashlib.sha256("".join(f"{folder}/{number}\n" for number in numbers).encode()).hexdigest()


def choose_blocks(name: str, count: int, share: float, taken: Iterable[int] = ()) -> list[list[int]]:
    """The rule behind the lists: the share of whole blocks whose ``sha256(NAME/BLOCK)`` is smallest.

    Args:
        name: Of the list and the split, such as ``zrr-v1/val``.
        count: Of the numbers 0, 1, ...
        share: Of the whole blocks to choose.
        taken: Blocks that another split has.

    Returns:
        First and last number of each chosen block, ascending.
    """
    free = np.setdiff1d(np.arange(count // BLOCK), list(taken))
    chosen = sorted(free, key=lambda block: hashlib.sha256(f"{name}/{block}".encode()).hexdigest())
    return [[int(b) * BLOCK, int(b) * BLOCK + BLOCK - 1] for b in sorted(chosen[: round(count // BLOCK * share)])]
