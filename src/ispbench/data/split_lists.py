"""Fixed split lists for datasets with numbered files, shipped in ``splits/`` and protected by hashes.

A list says which numbers of a folder are held out of training. They are held out in blocks of 32 consecutive numbers,
since neighboring crops may come from the same photo. A hash chose the blocks (`choose_blocks`), not a person.

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
    """The numbers that each split takes from each folder.

    Attributes:
        name: The name of the list and of its file.
        counts: Folder to the number of pairs in a complete copy.
        exact: Whether that count is exact, with numbers from 0. Otherwise it is a minimum, and numbers have no gaps.
        whole: Folder to the split that gets whatever is not held out.
        held_out: Split to the folder and the numbers held out for it.
    """

    name: str
    counts: Mapping[str, int]
    exact: bool
    whole: Mapping[str, str]
    held_out: Mapping[str, tuple[str, frozenset[int]]]

    @classmethod
    def load(cls, name: str) -> "SplitList":
        """Reads a shipped list and verifies its hashes.

        Raises:
            ValueError: if the file was altered.
        """
        content = json.loads(files("ispbench.data").joinpath("splits", f"{name}.json").read_text(encoding="utf-8"))
        held_out = {}
        for split, entry in content["held_out"].items():
            numbers = [n for first, last in entry["ranges"] for n in range(first, last + 1)]
            if hash_numbers(entry["folder"], numbers) != entry["sha256"] or len(numbers) != entry["count"]:
                raise ValueError(f"the {split} list of {name} does not have its hash; reinstall ispbench")
            held_out[split] = (entry["folder"], frozenset(numbers))
        return cls(name, content["counts"], content["exact"], content["whole"], held_out)

    def split_of(self, folder: str, number: int) -> str | None:
        """The split of a numbered pair in a folder; None if no split takes it."""
        for split, (place, numbers) in self.held_out.items():
            if place == folder and number in numbers:
                return split
        return self.whole.get(folder)

    def missing(self, folder: str, present: Iterable[int]) -> tuple[int, list[int]]:
        """How many pairs a folder lacks, and the numbers that are known to be missing, in order."""
        numbers = set(present)
        first = 0 if self.exact or not numbers else min(numbers)
        end = self.counts[folder] if self.exact else max(numbers, default=0) + 1
        gaps = sorted(set(range(first, end)) - numbers)
        return max(len(gaps), self.counts[folder] - len(numbers)), gaps


def hash_numbers(folder: str, numbers: Iterable[int]) -> str:
    """SHA-256 of the lines ``FOLDER/NUMBER`` in the given order."""
    return hashlib.sha256("".join(f"{folder}/{number}\n" for number in numbers).encode()).hexdigest()


def choose_blocks(name: str, count: int, share: float, taken: Iterable[int] = ()) -> list[list[int]]:
    """The rule behind the lists: the blocks with the smallest ``sha256(NAME/BLOCK)``.

    Args:
        name: The list and the split, such as ``zrr-v1/val``.
        count: How many numbers there are, from 0.
        share: The fraction of complete blocks to choose.
        taken: Blocks that already belong to another split.

    Returns:
        The first and last number of each chosen block, in ascending order.
    """
    free = np.setdiff1d(np.arange(count // BLOCK), list(taken))
    chosen = sorted(free, key=lambda block: hashlib.sha256(f"{name}/{block}".encode()).hexdigest())
    return [[int(b) * BLOCK, int(b) * BLOCK + BLOCK - 1] for b in sorted(chosen[: round(count // BLOCK * share)])]
