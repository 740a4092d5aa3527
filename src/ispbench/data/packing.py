"""Packed copies: all decoded pairs of a split in one file, so that training decodes nothing.

A file (see `ispbench.data.packed_file`) is written under another name, with a journal of finished pairs: an interrupted
packing continues where it stopped, and a file that has its final name is complete.

The usual choice for this is LMDB, and this file is not faster: in ``benchmarks/loading.py`` training patches load about
equally fast from both (0.9 to 1.2 times LMDB's rate), and whole images at 0.7 times LMDB's rate. It is kept because it
needs no further package and because a loader process stays small, where LMDB's map grows with everything that was read
(10 MB against 110 MB after 4,000 pairs of 64x64).
"""

import hashlib
import json
import os
import shutil
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from filelock import FileLock
from rich.progress import Progress

from ispbench.console import warn
from ispbench.data.packed_file import COLUMNS, MAGIC, ROW, TAIL, PackedSource
from ispbench.data.pairs import Pair, PairSource
from ispbench.data.parallel import read_pairs
from ispbench.errors import UserError

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
            log.write(np.array(rows[recorded:], ROW).tobytes())
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
        _write_tail(data, source, np.array(rows, ROW).reshape(-1, COLUMNS), key.decode())
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
    data.write(content + TAIL.pack(start + len(names) + len(rows), zlib.crc32(content), MAGIC))
    data.truncate()
    data.flush()
    os.fsync(data.fileno())


def _finished(journal: Path, part: Path, key: bytes) -> np.ndarray:
    """The table of the pairs that an interrupted packing of the same files has completed."""
    empty = np.empty((0, COLUMNS), ROW)
    if not (journal.is_file() and part.is_file()):
        return empty
    content = journal.read_bytes()
    if not content.startswith(key):
        return empty
    row = COLUMNS * ROW.itemsize
    whole = (len(content) - len(key)) // row * row
    table = np.frombuffer(content[len(key) : len(key) + whole], ROW).reshape(-1, COLUMNS)
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
