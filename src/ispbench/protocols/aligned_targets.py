"""Aligned targets on disk: computed once, checked whenever they are read, the same for every model.

Each is an RGBA PNG, its alpha channel the validity mask. ``index.json``, written last, holds their checksums; until it
is there, a later call continues with what is missing.
"""

import glob
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rich.markup import escape
from rich.progress import track
from torch import Tensor

from ispbench.console import say
from ispbench.data.cache import cache_folder, cached
from ispbench.data.datamodule import PairedDataModule
from ispbench.data.pairs import PairDataset
from ispbench.errors import UserError
from ispbench.files import sweep, write_atomically, write_image

VERSION = 1  # of the procedure; another version is another set of targets
_SAMPLED = 16  # targets that are made first, to tell the size of all
_REMEDY = "delete {folder} and run `ispbench data align` with the same overrides."
_FOLDER, _INDEX = "aligned", "index.json"  # of all sets in the cache; of each set
_ADVICE = "set ISPBENCH_CACHE to another folder (what is computed already is kept)"

Align = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class AlignedTargets:
    """A finished set.

    Attributes:
        folder: Of its images.
        checksum: SHA-256 over the pixels and masks of all targets in order.
        hashes: SHA-256 of each.
        valid_share: Mean share of valid pixels.
    """

    folder: Path
    checksum: str
    hashes: list[str]
    valid_share: float

    def read(self, index: int) -> tuple[Tensor, Tensor]:
        """A target, sRGB in [0, 1], shape (3, H, W), and its mask, shape (1, H, W), 0 or 1; raises as `pixels`."""
        planes = torch.from_numpy(self.pixels(index)).permute(2, 0, 1).float() / 255
        return planes[:3], planes[3:]

    def pixels(self, index: int) -> NDArray[np.uint8]:
        """A target as stored, shape (H, W, 4): sRGB, and 255 where it is valid.

        Raises:
            UserError: if the file is missing or is not the one that was computed.
        """
        path = _file(self.folder, index)
        pixels = _load(path)
        if pixels is None or _hash(pixels) != self.hashes[index]:
            raise UserError(
                f"The aligned target {path} is missing or was changed; {_REMEDY.format(folder=self.folder)}"
            )
        return pixels


def aligned_targets(
    data: PairedDataModule, split: str, name: str, settings: str, align: Align, cache: str | None
) -> AlignedTargets:
    """The aligned targets of a split, computed where the cache lacks them.

    Args:
        data: The dataset.
        split: train, val or test.
        name: Of the protocol.
        settings: All that decides the result besides the pairs, as text.
        align: Takes canonical packed RAW, shape (4, h, w), and its target, shape (3, 2h, 2w), and returns the aligned
            target and its mask, shape (1, 2h, 2w).
        cache: The cache folder; null for the user's.

    Raises:
        UserError: if the cache cannot be written to.
    """
    source = data.source(split)
    key = f"{VERSION} {source.fingerprint} {split} {data.black_level} {data.white_level} {settings}"
    entry = Path(_FOLDER, f"{data.version}-{name}-{split}", hashlib.sha256(key.encode()).hexdigest()[:16], _INDEX)
    folder = cached(entry, cache).parent
    if not (folder / _INDEX).is_file():
        sweep(folder)
        _compute(data, split, folder, align)
        _write_index(folder, list(source.names))
    return _open(folder, len(source))


def check_sets(version: str, cache: str | None) -> list[str]:
    """What is wrong with the finished sets of a dataset, one sentence for each damaged target.

    Args:
        version: Of the dataset.
        cache: The cache folder; null for the user's.
    """
    found = []
    for index in sorted((cache_folder(cache) / _FOLDER).glob(f"{glob.escape(version)}-*/*/{_INDEX}")):
        try:
            targets = _open(index.parent)
        except UserError as error:
            found.append(str(error))
            continue
        for number in range(len(targets.hashes)):
            try:
                targets.pixels(number)
            except UserError as error:
                found.append(str(error))
    return found


def _open(folder: Path, count: int | None = None) -> AlignedTargets:
    """A finished set, of so many targets."""
    try:
        content = json.loads((folder / _INDEX).read_bytes())
        targets = AlignedTargets(folder, content["checksum"], content["sha256"], float(content["valid_share"]))
        if targets.checksum != _hash_all(targets.hashes) or count not in (None, len(targets.hashes)):
            raise ValueError("another checksum")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / _INDEX} was changed; {_REMEDY.format(folder=folder)}") from error
    return targets


def _compute(data: PairedDataModule, split: str, folder: Path, align: Align) -> None:
    pairs = PairDataset(data.source(split))
    missing = [number for number in range(len(pairs)) if _load(_file(folder, number)) is None]
    first = missing[:: max(1, len(missing) // _SAMPLED)][:_SAMPLED]
    title = escape(f"Aligning the {split} targets of {data.version}")
    for number in track([*first, *sorted({*missing} - {*first})], title):
        if first and number not in first:
            _check_space(folder, first, len(missing) - len(first))
            first = []
        pair = pairs[number]
        batch = {key: torch.from_numpy(pair[key])[None] for key in ("raw", "target")}
        batch = data.to_canonical(batch)
        target, mask = align(batch["raw"][0], batch["target"][0])
        planes = torch.cat((target.clamp(0, 1), mask)).mul(255).round().byte()
        write_image(_file(folder, number), planes.permute(1, 2, 0).cpu().numpy(), _ADVICE)


def _check_space(folder: Path, samples: list[int], missing: int) -> None:
    """Says how large the rest of a set will be, by the size of some; refuses what the disk has no room for.

    Raises:
        UserError: if it lacks room.
    """
    needed = missing * float(np.mean([_file(folder, number).stat().st_size for number in samples]))
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{missing:,} more aligned targets need about {needed / 1e9:.2f} GB, but {folder} has {free / 1e9:.2f} GB "
            f"free; free some space or {_ADVICE}."
        )
    say(f"{missing:,} more aligned targets, about {needed / 1e9:.2f} GB, in {folder}")


def _write_index(folder: Path, names: list[str]) -> None:
    images = [_load(_file(folder, number)) for number in range(len(names))]
    hashes, shares = [], []
    for pixels in images:
        assert pixels is not None
        hashes.append(_hash(pixels))
        shares.append(float((pixels[..., 3] > 0).mean()))
    content = {
        "checksum": _hash_all(hashes),
        "valid_share": float(np.mean(shares)),
        "names": names,
        "sha256": hashes,
    }
    write_atomically(folder / _INDEX, json.dumps(content, indent=1), _ADVICE)


def _hash_all(hashes: list[str]) -> str:
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.png"


def _hash(pixels: NDArray[np.uint8]) -> str:
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()


def _load(path: Path) -> NDArray[np.uint8] | None:
    """The RGBA pixels of a file, shape (H, W, 4); None if it is missing or no whole image."""
    if not path.is_file():
        return None
    content = np.fromfile(path, np.uint8)
    image = cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if content.size else None
    if image is None or image.ndim != 3 or image.shape[2] != 4:
        return None
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA), np.uint8)
