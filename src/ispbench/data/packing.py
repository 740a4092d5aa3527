"""Packed copies: all decoded pairs of a split in one file, so that training decodes nothing.

The file holds pair after pair, each the mosaic as uint16 followed by the target as planar uint8; then the names, a
table (offset, height, width, CRC-32) and a JSON description with the stamp of the original files. It is written under
another name, with a journal of finished pairs: an interrupted packing continues where it stopped, and a file that has
its final name is complete.

Names, table and description are verified when the file is opened, and with them some pairs, of a small file all; each
other pair is when a process first reads it. In ``benchmarks/loading.py`` that first read takes about 2 times as long as
a later one where patches are cut, and makes no difference where whole images are loaded.

The usual choice for this is LMDB, and this file is not faster: in ``benchmarks/loading.py`` training patches load about
equally fast from both (0.9 to 1.2 times LMDB's rate), and whole images at 0.7 times LMDB's rate. It is kept because it
needs no further package and because a loader process stays small, where LMDB's map grows with everything that was read
(10 MB against 110 MB after 4,000 pairs of 64x64).
"""

import hashlib
import json
import os
import shutil
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock
from rich.progress import Progress

from ispbench.console import warn
from ispbench.data.name_list import Strings
from ispbench.data.pairs import Pair, PairSource
from ispbench.data.parallel import read_pairs, spread
from ispbench.errors import UserError

_MAGIC = b"ISPPACK2"
_TAIL = struct.Struct("<qq8s")  # offset of the description, CRC of all from the names to the description, magic
# A row of the table is offset, height, width, CRC; for an unreadable pair the second is -1, the third the length of the
# reason in bytes.
_ROW = np.dtype("<i8")
_COLUMNS = 4
_SAMPLED = 64  # pairs that are verified when a file is opened
_CHUNK = 32  # pairs between two entries of the journal
_SPARE = 64 * 2**20  # bytes of disk to leave free


def pack_path(version: str, place: str, split: str) -> Path:
    """The path of the packed copy of a split, below the cache folder.

    Args:
        version: The dataset's version.
        place: The dataset's folder, so that two copies of a dataset have a pack each.
        split: train, val or test.
    """
    return Path("packed", f"{version}-{hashlib.sha256(os.fsencode(place)).hexdigest()[:12]}", f"{split}.pack")


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
            if size < _TAIL.size:
                raise ValueError(f"{path} is not a packed file")
            file.seek(size - _TAIL.size)
            start, check, magic = _TAIL.unpack(file.read())
            if magic != _MAGIC or not 0 <= start < size:
                raise ValueError(f"{path} is not a packed file")
            file.seek(start)
            text = file.read(size - _TAIL.size - start)
            about = json.loads(text)
            file.seek(about["names"])
            names, table = file.read(about["table"] - about["names"]), file.read(start - about["table"])
        if zlib.crc32(text, zlib.crc32(table, zlib.crc32(names))) != check:
            raise ValueError(f"{path} was changed")
        self.names = Strings(json.loads(names))
        self._table = np.frombuffer(table, _ROW).reshape(len(self.names), _COLUMNS)
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


def open_pack(source: PairSource, path: Path, build: bool, skip: bool) -> PairSource:
    """The packed copy of a source, if there is one or one is to be built; otherwise the source itself.

    Args:
        source: The files.
        path: The packed copy; an outdated one is rebuilt.
        build: Whether to build a missing one.
        skip: Whether to note unreadable pairs in the copy; otherwise they end the packing.
    """
    if not path.exists() and not build:
        return source
    build_pack(source, path, skip)
    return PackedSource(path)


def is_current(source: PairSource, path: Path) -> bool:
    """Whether there is a complete packed copy of the files as they are now, undamaged as far as a sample tells."""
    try:
        copy = PackedSource(path)
    except (OSError, ValueError, KeyError):
        return False
    return copy.stamp == source.stamp and not copy.damage(_SAMPLED)


def check_pack(path: Path, count: int | None = None) -> list[str]:
    """What is wrong with a packed copy, one sentence each.

    Args:
        path: The packed copy; nothing is wrong if there is none.
        count: How many pairs to verify, evenly spread; None for all.
    """
    if not path.exists():
        return []
    try:
        return PackedSource(path).damage(count)
    except (OSError, ValueError, KeyError):
        return [f"{path} is damaged or of an earlier version; delete it, and it is packed anew."]


def build_pack(source: PairSource, path: Path, skip: bool = False) -> None:
    """Packs a source unless that is done. An interrupted packing of the same files continues where it stopped.

    Args:
        source: The pairs.
        path: The packed file to write.
        skip: Whether to note unreadable pairs instead of ending the packing.

    Raises:
        UserError: if a pair cannot be read, or if the disk is full or read-only.
    """
    if is_current(source, path):  # also where somebody else's copy can be read and not written
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if is_current(source, path):
                return
            if path.exists():
                warn(f"{path} is outdated or damaged and is packed anew.")
                path.unlink()
            _build(source, path, skip)
    except OSError as error:
        raise UserError(
            f"Writing {path} failed ({error.strerror or error}); free some space, set ISPBENCH_CACHE to another "
            "folder, or read the files themselves with data.pack=never."
        ) from error


def _build(source: PairSource, path: Path, skip: bool) -> None:
    part, journal = path.with_suffix(".part"), path.with_suffix(".journal")
    key = source.stamp.encode()
    table = _finished(journal, part, key)
    _check_disk_space(source, path.parent, len(table))
    if not len(table):
        part.write_bytes(b"")
        journal.write_bytes(key)
    with part.open("r+b") as data, journal.open("ab") as log, Progress() as bar:
        data.seek(_end(table))
        task = bar.add_task(f"Packing {path.stem}", total=len(source), completed=len(table))
        rows = table.tolist()
        recorded = len(rows)

        def record() -> None:
            nonlocal recorded
            data.flush()
            os.fsync(data.fileno())
            log.write(np.array(rows[recorded:], _ROW).tobytes())
            log.flush()
            recorded = len(rows)

        try:
            for _, pair in read_pairs(source, range(len(rows), len(source))):
                if isinstance(pair, UserError) and not skip:
                    raise UserError(
                        f"{pair} Then the same command goes on with it; data.on_error=skip leaves such pairs out of "
                        "training."
                    )
                rows.append(_write(data, pair))
                bar.advance(task)
                if len(rows) - recorded == _CHUNK:
                    record()
        finally:
            record()
        _write_tail(data, source, np.array(rows, _ROW).reshape(-1, _COLUMNS), key.decode())
    part.replace(path)
    journal.unlink()


def _write(data: BinaryIO, pair: Pair | UserError) -> tuple[int, int, int, int]:
    """Writes a pair, or why it cannot be read; returns its row of the table."""
    offset = data.tell()
    if isinstance(pair, UserError):
        reason = str(pair).encode() + b" " * (len(str(pair).encode()) % 2)
        return offset, -1, data.write(reason), zlib.crc32(reason)
    mosaic, target = pair
    content = np.ascontiguousarray(mosaic, "<u2").tobytes()
    content += np.ascontiguousarray(target.transpose(2, 0, 1), np.uint8).tobytes()
    data.write(content)
    return offset, *mosaic.shape, zlib.crc32(content)


def _write_tail(data: BinaryIO, source: PairSource, table: np.ndarray, stamp: str) -> None:
    names, rows, start = json.dumps(list(source.names)).encode(), table.tobytes(), data.tell()
    places = {"names": start, "table": start + len(names)}
    about = json.dumps(places | {"stamp": stamp, "fingerprint": source.fingerprint}).encode()
    content = names + rows + about
    data.write(content + _TAIL.pack(start + len(names) + len(rows), zlib.crc32(content), _MAGIC))
    data.truncate()
    data.flush()
    os.fsync(data.fileno())


def _finished(journal: Path, part: Path, key: bytes) -> np.ndarray:
    """The table of the pairs that an interrupted packing of the same files has completed."""
    empty = np.empty((0, _COLUMNS), _ROW)
    if not (journal.is_file() and part.is_file()):
        return empty
    content = journal.read_bytes()
    if not content.startswith(key):
        return empty
    row = _COLUMNS * _ROW.itemsize
    whole = (len(content) - len(key)) // row * row
    table = np.frombuffer(content[len(key) : len(key) + whole], _ROW).reshape(-1, _COLUMNS)
    if _end(table) > part.stat().st_size:
        return empty
    journal.write_bytes(content[: len(key) + whole])
    return table


def _end(table: np.ndarray) -> int:
    if not len(table):
        return 0
    offset, height, width, _ = table[-1].tolist()
    return offset + (width if height < 0 else 5 * height * width)


def _check_disk_space(source: PairSource, folder: Path, done: int) -> None:
    for _, pair in read_pairs(source, range(min(done, len(source) - 1), len(source))):
        if not isinstance(pair, UserError):
            break
    else:
        return
    needed = 5 * pair[0].size * (len(source) - done) + _SPARE
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"Packing {len(source) - done:,} pairs needs about {needed / 1e9:.1f} GB, but {folder} has "
            f"{free / 1e9:.1f} GB free; free some space, set ISPBENCH_CACHE to another disk, or read the files "
            "themselves with data.pack=never."
        )
