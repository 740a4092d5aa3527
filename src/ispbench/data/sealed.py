"""Files of the cache that tell when their bytes have changed: arrays, verified row by row as they are read, and JSON.

An array is a ``.npy`` file that any program reads, followed by a CRC-32 for every `_BAND` rows and one of the header
and of these. What is opened is verified at once as far as it is small; of a large file a sample is, and every other row
when a process first reads it. So nothing unverified is ever used, at the cost of one pass over what is used.
"""

import io
import json
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ispbench.errors import UserError

_BAND = 64  # rows
_FOOTER = struct.Struct("<QII8s")  # bytes of the .npy file, rows in a band, CRC of all but the rows, magic
_MAGIC = b"ISPSEAL1"
_PREFIX = struct.Struct("<8sH")  # of a .npy file: its magic with the version, and the bytes of the header that follows
_AT_ONCE = 2**20  # bytes that are verified when a file is opened


class DamagedError(UserError):
    """A file of the cache does not hold what was written to it."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} in the cache is damaged or of an earlier version; delete it, and the same command makes it anew."
        )


class SealedArray:
    """An array in a file of the cache, mapped into memory.

    Args:
        path: Of a file from `write_array`.

    Attributes:
        path: The file.
        shape: Of the array.

    Raises:
        DamagedError: if the file is not whole, or its bytes have changed; also when rows are read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open()
        bands = len(self._sums)
        sampled = max(1, min(bands, bands * _AT_ONCE // max(1, self._array.nbytes)))
        self._verify(np.linspace(0, bands - 1, sampled).astype(int).tolist())

    def _open(self) -> None:
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, io.SEEK_END)
                file.seek(max(0, size - _FOOTER.size))
                length, self._band, check, magic = _FOOTER.unpack(file.read())
                if magic != _MAGIC or length > size:
                    raise ValueError("no magic")
                file.seek(0)
                header = file.read(_PREFIX.size)
                start = _PREFIX.size + _PREFIX.unpack(header)[1]
                header += file.read(start - _PREFIX.size)
                file.seek(length)
                sums = file.read(size - length - _FOOTER.size)
            if _check(header, sums, length, self._band) != check:
                raise ValueError("another header")
            shape, _, dtype = np.lib.format.read_array_header_1_0(io.BytesIO(header[_PREFIX.size - 2 :]))
            if start + math.prod(shape) * dtype.itemsize != length:
                raise ValueError("another length")
            self.shape: tuple[int, ...] = shape
            self._array = np.memmap(self.path, dtype, "r", start, shape)
        except (ValueError, OverflowError, struct.error) as error:
            raise DamagedError(self.path) from error
        self._sums = np.frombuffer(sums, "<u4")
        self._verified = np.zeros(len(self._sums), bool)

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.path = state["path"]
        self._open()

    def __getitem__(self, part: slice | tuple[slice, ...]) -> NDArray[Any]:
        """A part of the array, read-only; its first slice is of rows."""
        rows = part[0] if isinstance(part, tuple) else part
        first, last, _ = rows.indices(self.shape[0])
        self._verify(range(first // self._band, -(-last // self._band)))
        return np.asarray(self._array[part])

    def _verify(self, bands: Any) -> None:
        for band in bands:
            if not self._verified[band]:
                rows = self._array[band * self._band : (band + 1) * self._band]
                if zlib.crc32(rows.data) != self._sums[band]:
                    raise DamagedError(self.path)
                self._verified[band] = True


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Writes an array for `SealedArray`; `path` does not exist before."""
    array = np.ascontiguousarray(array)
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
    header = file.getvalue()
    bands = (array[first : first + _BAND] for first in range(0, len(array), _BAND))
    sums = np.array([zlib.crc32(band.data) for band in bands], "<u4").tobytes()
    length = len(header) + array.nbytes
    with path.open("xb") as output:
        output.write(header)
        output.write(array.data)
        output.write(sums + _FOOTER.pack(length, _BAND, _check(header, sums, length, _BAND), _MAGIC))


def _check(header: bytes, sums: bytes, length: int, band: int) -> int:
    return zlib.crc32(f"{length} {band}".encode(), zlib.crc32(sums, zlib.crc32(header)))


def sealed_json(content: dict[str, Any]) -> str:
    """Text for `read_json`."""
    return json.dumps(content | {"crc32": _crc(content)}, indent=1)


def read_json(path: Path) -> dict[str, Any]:
    """The content of a file with the text of `sealed_json`.

    Raises:
        DamagedError: if it is anything else.
    """
    try:
        content = json.loads(path.read_bytes())
        check = content.pop("crc32")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise DamagedError(path) from error
    if check != _crc(content):
        raise DamagedError(path)
    return dict(content)


def _crc(content: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())
