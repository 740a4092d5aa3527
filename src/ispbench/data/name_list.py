"""A long list of names without one Python object per name."""

from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np


class Strings(Sequence[str]):
    """A fixed list of strings in two arrays.

    Loader processes share memory pages with the process they were forked from until someone writes to them. Merely
    reading a list of Python strings writes to them (reference counts), so that every worker ends up with its own copy
    of the list. Reading this one does not.

    Args:
        strings: The strings, in order.
    """

    def __init__(self, strings: Iterable[str]) -> None:
        encoded = [string.encode() for string in strings]
        self._bytes = np.frombuffer(b"".join(encoded), np.uint8)
        self._ends = np.cumsum([len(string) for string in encoded], dtype=np.int64)

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        """The string at an index, or the list of those in a slice."""
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        position = range(len(self))[index]
        start = self._ends[position - 1] if position else 0
        return self._bytes[start : self._ends[position]].tobytes().decode()

    def __iter__(self) -> Iterator[str]:
        return (self[position] for position in range(len(self)))

    def __repr__(self) -> str:
        return f"Strings({len(self)})"
