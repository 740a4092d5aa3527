"""The format of packed files, and the pairs in one.

The file holds pair after pair, each the mosaic as uint16 followed by the target as planar uint8; then the names, a
table (offset, height, width, CRC-32) and a JSON description with the stamp of the original files.

Names, table and description are verified when the file is opened, and with them some pairs, of a small file all; each
other pair is when a process first reads it. In ``benchmarks/loading.py`` that first read takes about 2 times as long as
a later one where patches are cut, and makes no difference where whole images are loaded.
"""

import json
import os
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ispbench.data.name_list import Strings
from ispbench.data.pairs import Pair, PairSource
from ispbench.data.parallel import spread
from ispbench.errors import UserError

MAGIC = b"ISPPACK2"
TAIL = struct.Struct("<qq8s")  # offset of the description, CRC of all from the names to the description, magic
# A row of the table is offset, height, width, CRC; for an unreadable pair the second is -1, the third the length of the
# reason in bytes.
ROW = np.dtype("<i8")
COLUMNS = 4


class PackedSource(PairSource):
    """The pairs of a packed file.

    Each pair is read into memory of its own, so that a process holds no more of the file than it is working on.

    Args:
        path: The packed file.

    Raises:
        ValueError: if the file is not a complete packed file, or was changed.
    """

    thread_safe = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if size < TAIL.size:
                raise ValueError(f"{path} is not a packed file")
            file.seek(size - TAIL.size)
            start, check, magic = TAIL.unpack(file.read())
            if magic != MAGIC or not 0 <= start < size:
                raise ValueError(f"{path} is not a packed file")
            file.seek(start)
            text = file.read(size - TAIL.size - start)
            about = json.loads(text)
            try:
                first, second = int(about["names"]), int(about["table"])
            except (KeyError, TypeError) as error:
                raise ValueError(f"{path} was changed") from error
            if not 0 <= first <= second <= start:
                raise ValueError(f"{path} was changed")
            file.seek(first)
            names, table = file.read(second - first), file.read(start - second)
        if zlib.crc32(text, zlib.crc32(table, zlib.crc32(names))) != check:
            raise ValueError(f"{path} was changed")
        self.names = Strings(json.loads(names))
        self._table = np.frombuffer(table, ROW).reshape(len(self.names), COLUMNS)
        self._verified = np.zeros(len(self.names), bool)
        self.fingerprint: str = about["fingerprint"]
        self.stamp = about["stamp"]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_file": None}

    def read(self, index: int) -> Pair:
        """The mosaic in DN, shape (H, W), and the sRGB target, shape (H, W, 3), as they were in the files.

        Raises:
            UserError: if the pair could not be read when it was packed, or was changed since.
        """
        _, height, width, _ = self._table[index].tolist()
        content = self._content(index)
        if height < 0:
            raise UserError(bytes(content).decode())
        mosaic = content[: 2 * height * width].view("<u2").reshape(height, width)
        return mosaic, content[2 * height * width :].reshape(3, height, width).transpose(1, 2, 0)

    def damage(self, count: int | None = None) -> list[str]:
        """What is wrong with the copies of the pairs, one sentence each.

        Args:
            count: How many pairs to verify, evenly spread; None for all.
        """
        found = []
        for index in spread(len(self), count):
            try:
                self._content(index)
            except UserError as error:
                found.append(str(error))
        return found

    def _content(self, index: int) -> np.ndarray:
        offset, height, width, check = self._table[index].tolist()
        length = width if height < 0 else 5 * height * width
        if self._file is None:
            self._file = self.path.open("rb")
        content = np.empty(length, np.uint8)
        if os.preadv(self._file.fileno(), [content.data], offset) != length:
            raise UserError(f"{self.path} was cut short while it was in use; delete it.")
        if not self._verified[index]:
            if zlib.crc32(content.data) != check:
                raise UserError(f"{self.path} is damaged at {self.names[index]}; delete it, and it is packed anew.")
            self._verified[index] = True
        return content
