"""Images per second of loading ZRR-like pairs: packed, from LMDB, decoded from PNG and JPEG, and by a plain loader.

    python benchmarks/loading.py --pairs 256

Writes a synthetic ZRR tree (448x448, simulated sensor), loads it in one process with one thread, in batches of 16 from
the page cache, and prints rates and their ratios. The plain loader does what public training code does: decodes both
files with imageio each time, stacks the planes, converts to float. LMDB holds the same bytes as the packed file and is
read without a copy; it takes part if it is installed (``pip install lmdb``). "First read" is what a process does with a
packed pair once: it compares its checksum. Then the script prints the memory of a loader process after it has read a
small and a large dataset once.

Times are CPU times, so that other programs do not count. Everything is measured in one run on one machine; only the
ratios carry over to others. Files on a cold disk add the disk's time to all of them.
"""

import argparse
import importlib.util
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import imageio.v2 as imageio
import numpy as np
import psutil
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch.utils.data import DataLoader, Dataset

from ispbench.data.datamodule import PairedDataModule
from ispbench.data.datasets.folder import FolderData
from ispbench.data.datasets.mini import read_photo
from ispbench.data.packed_file import PackedSource
from ispbench.data.pairs import Pair, PairDataset, PairSource
from ispbench.raw.captures import CaptureRange
from ispbench.raw.simulate import expose, unprocess

BATCH = 16
DISTINCT = 32  # scenes; more pairs are copies of them


def write_tree(root: Path, count: int, size: int) -> None:
    """Writes ``train/huawei_raw`` and ``train/canon`` with `count` pairs, and one pair in ``test``."""
    rng = np.random.default_rng(0)
    photos = [read_photo(f"skimage:{name}.png") for name in ("astronaut", "coffee", "motorcycle_left")]
    for folder, pairs in (("train", count), ("test", 1)):
        raw, target = (root / folder / place for place in ("huawei_raw", "canon"))
        raw.mkdir(parents=True)
        target.mkdir()
        for number in track(range(pairs), f"Writing {folder} {size}x{size}"):
            if number >= DISTINCT:
                os.link(raw / f"{number % DISTINCT}.png", raw / f"{number}.png")
                os.link(target / f"{number % DISTINCT}.jpg", target / f"{number}.jpg")
                continue
            photo = photos[number % 3]
            scale = rng.uniform(1.2, 1.6) * size / min(photo.shape[:2])
            photo = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
            top, left = (int(rng.integers(side - size)) for side in photo.shape[:2])
            patch = np.ascontiguousarray(photo[top : top + size, left : left + size])
            capture = CaptureRange().draw(rng)
            mosaic = expose(unprocess(patch, capture), capture, rng, 63, 1020)
            cv2.imwrite(str(raw / f"{number}.png"), mosaic)
            cv2.imwrite(str(target / f"{number}.jpg"), patch[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])


def datamodule(root: Path, cache: Path, pack: str, size: int) -> PairedDataModule:
    """The tree as the package loads it."""
    return FolderData(
        version="benchmark",
        root=str(root),
        raw_folder="huawei_raw",
        target_folder="canon",
        cfa="RGGB",
        size=(size, size),
        val_fraction=0.001,
        black_level=63,
        white_level=1020,
        crop=None,
        augment=False,
        batch_size=BATCH,
        eval_batch_size=BATCH,
        pack=pack,
        cache=str(cache),
    )


class LMDBSource(PairSource):
    """The pairs of another source in an LMDB database, the established alternative to a packed file.

    Args:
        source: The pairs, all of one size.
        folder: Where the database is written.
    """

    def __init__(self, source: PairSource, folder: Path) -> None:
        import lmdb

        self.names, self.fingerprint = source.names, source.fingerprint
        self.shape = source.read(0)[0].shape
        self.folder = folder
        self._transaction = None
        with lmdb.open(str(folder), map_size=2**40) as database, database.begin(write=True) as transaction:
            for index in track(range(len(source)), "Writing LMDB"):
                mosaic, target = source.read(index)
                content = mosaic.astype("<u2").tobytes() + target.transpose(2, 0, 1).tobytes()
                transaction.put(index.to_bytes(4, "big"), content)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_transaction": None}

    def read(self, index: int) -> Pair:
        """Views of the database's memory map, as `PackedSource` gives views of its file's."""
        if self._transaction is None:
            import lmdb

            database = lmdb.open(str(self.folder), readonly=True, lock=False, readahead=False)
            self._transaction = database.begin(buffers=True)
        content = np.frombuffer(self._transaction.get(index.to_bytes(4, "big")), np.uint8)
        pixels = self.shape[0] * self.shape[1]
        mosaic = content[: 2 * pixels].view("<u2").reshape(self.shape)
        return mosaic, content[2 * pixels :].reshape(3, *self.shape).transpose(1, 2, 0)


class FirstRead(PackedSource):
    """A packed file that verifies every pair at every read, as a process does when it reads it first."""

    def read(self, index: int) -> Pair:
        """A pair, verified."""
        self._verified[index] = False
        return super().read(index)


class Plain(Dataset):
    """Decodes both files each time, as public training code does.

    Args:
        root: The tree.
        count: Its training pairs.
    """

    def __init__(self, root: Path, count: int) -> None:
        self.root = root
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        raw = np.asarray(imageio.imread(self.root / "train" / "huawei_raw" / f"{index}.png"))
        planes = np.dstack((raw[1::2, 1::2], raw[0::2, 1::2], raw[0::2, 0::2], raw[1::2, 0::2]))
        target = np.asarray(imageio.imread(self.root / "train" / "canon" / f"{index}.jpg"))
        return {
            "raw": torch.from_numpy((planes.astype(np.float32) / 1020).transpose(2, 0, 1).copy()),
            "target": torch.from_numpy((target.astype(np.float32) / 255).transpose(2, 0, 1).copy()),
        }


def rate(loader: Iterable[dict[str, Any]], finish: Callable[[dict[str, Any]], Any], seconds: float) -> float:
    """Images per second of one core, over whole epochs, after one that fills the page cache."""
    for batch in loader:
        finish(batch)
    images, started = 0, time.process_time()
    while time.process_time() - started < seconds:
        for batch in loader:
            finish(batch)
            images += len(batch["raw"])
    return images / (time.process_time() - started)


def speed(folder: Path, count: int, seconds: float) -> None:
    """Prints the rates."""
    write_tree(folder / "zrr", count, 448)
    files = datamodule(folder / "zrr", folder / "cache", "never", 448)
    packed = datamodule(folder / "zrr", folder / "cache", "always", 448)
    sources = {
        "decoded PNG + JPEG": files.source("train"),
        "packed": packed.source("train"),
        "packed, first read": FirstRead(packed.pack_path("train")),
    }
    if importlib.util.find_spec("lmdb"):
        sources["LMDB"] = LMDBSource(sources["packed"], folder / "lmdb")
    rows = {}
    for name, source in sources.items():
        whole = PairDataset(source)
        patches = PairDataset(source, crop=256, augment=True)
        rows[f"{name}, as stored"] = DataLoader(whole, BATCH), lambda batch: batch
        rows[f"{name}, scaled on this CPU"] = (
            DataLoader(whole, BATCH),
            lambda batch: files.to_canonical(batch),
        )
        rows[f"{name}, flipped 256x256 patches"] = DataLoader(patches, BATCH), lambda batch: batch
    plain = rate(DataLoader(Plain(folder / "zrr", count), BATCH), lambda batch: batch, seconds)
    table = Table(title=f"{count} pairs of 448x448, one process, one thread")
    for column in ("loader", "images/s per core", "times plain"):
        table.add_column(column, justify="left" if column == "loader" else "right")
    table.add_row("plain (imageio, float)", f"{plain:.0f}", "1.0")
    for name, (loader, finish) in rows.items():
        reached = rate(loader, finish, seconds)
        table.add_row(name, f"{reached:.0f}", f"{reached / plain:.1f}")
    Console().print(table)


class Reporting(Dataset):
    """Adds the private and the resident memory of the loading process, in MB, to each sample."""

    def __init__(self, dataset: PairDataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict[str, Any]:
        sample = self.dataset[index]
        if index % 500:
            return {"index": sample["index"], "private": -1.0, "resident": -1.0}
        memory = psutil.Process().memory_full_info()
        return {"index": sample["index"], "private": memory.uss / 1e6, "resident": memory.rss / 1e6}


def memory(folder: Path, counts: Iterable[int]) -> None:
    """Prints what a loader process holds after it has read each dataset once, in random order."""
    table = Table(title="One loader process after an epoch, pairs of 64x64")
    for column in ("loader", "pairs", "private MB", "resident MB"):
        table.add_column(column, justify="left" if column == "loader" else "right")
    for count in counts:
        root, cache = folder / f"memory{count}", folder / f"cache{count}"
        write_tree(root, count, 64)
        packed = datamodule(root, cache, "always", 64).source("train")
        sources = {"decoded": datamodule(root, cache, "never", 64).source("train"), "packed": packed}
        if importlib.util.find_spec("lmdb"):
            sources["LMDB"] = LMDBSource(packed, folder / f"lmdb{count}")
        for name, source in sources.items():
            dataset = Reporting(PairDataset(source))
            last = {"private": 0.0, "resident": 0.0}
            for batch in DataLoader(dataset, 100, shuffle=True, num_workers=1):
                if batch["private"].max() > 0:
                    last = {key: float(batch[key].max()) for key in last}
            table.add_row(name, f"{len(source):,}", f"{last['private']:.0f}", f"{last['resident']:.0f}")
    Console().print(table)


def main() -> None:
    """Runs both parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=256, help="of 448x448, about 1 MB each when packed (default: 256)")
    parser.add_argument("--seconds", type=float, default=10, help="to measure each loader for (default: 10)")
    parser.add_argument("--small", type=int, default=1000, help="pairs of the small dataset (default: 1000)")
    parser.add_argument("--large", type=int, default=20000, help="pairs of the large dataset (default: 20000)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        speed(Path(folder), options.pairs, options.seconds)
        memory(Path(folder), (options.small, options.large))


if __name__ == "__main__":
    main()
