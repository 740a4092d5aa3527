"""Tensors whose values lie in files instead of memory."""

import ctypes
import mmap
import os
import sys
import tempfile
import weakref
from collections.abc import Sequence
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from ispbench.errors import UserError

_RELEASE = 192 * 2**20  # bytes that are touched before memory is given back


class Scratch:
    """Makes tensors in unnamed files, which vanish with the tensors, or with the process however it ends.

    The system keeps as much of them in memory as it has to spare.

    Args:
        folder: Where the files are; it is made.
        least: Bytes; a smaller tensor stays in memory.
    """

    def __init__(self, folder: Path, least: int) -> None:
        self.folder = folder
        self.least = least
        self._maps: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()
        self._touched = 0

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """A contiguous tensor of undefined values.

        Raises:
            UserError: if the disk is full or the folder cannot be written to.
        """
        size = prod(shape) * dtype.itemsize
        if size < self.least or not size:
            return torch.empty(tuple(shape), dtype=dtype)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder, prefix=".render-") as file:
                _reserve(file.fileno(), size)
                values = mmap.mmap(file.fileno(), size)
        except OSError as error:
            raise UserError(
                f"{size / 2**20:.0f} MiB of scratch space in {self.folder} are not to be had ({error.strerror}); free "
                "some space, or set paths.cache to a folder on a larger disk."
            ) from error
        self._maps.add(values)
        return torch.frombuffer(values, dtype=dtype).view(tuple(shape))

    def touch(self, size: int) -> None:
        """Counts bytes that were read or written, and from time to time gives memory back to the system.

        That is the memory that shows the files, and what glibc keeps of memory that was freed.
        """
        self._touched += size
        if not self._maps or self._touched < _RELEASE:
            return
        self._touched = 0
        if hasattr(mmap, "MADV_DONTNEED"):
            for values in list(self._maps):
                values.madvise(mmap.MADV_DONTNEED)
        if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
            libc.malloc_trim(0)


def _reserve(descriptor: int, size: int) -> None:
    """Takes the space at once: where it ran out later, writing to the map would end the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.truncate(descriptor, size)
