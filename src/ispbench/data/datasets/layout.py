"""The files in a dataset's folder: which of them are pairs, and the issues with the rest."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ispbench.data.image_files import RAW_SUFFIXES, TARGET_SUFFIXES


@dataclass(frozen=True)
class PairFiles:
    """The two files of a pair.

    Attributes:
        name: The RAW file's path inside the RAW folder, without its suffix: ``12`` or ``set1/12``.
        raw: Its path below the dataset's folder.
        target: The target's path below the dataset's folder.
        raw_stamp: Size and modification time (ns) of the RAW file.
        target_stamp: Size and modification time (ns) of the target file.
    """

    name: str
    raw: str
    target: str
    raw_stamp: tuple[int, int]
    target_stamp: tuple[int, int]

    @property
    def stem(self) -> str:
        """The name that both files share."""
        return self.name.rpartition("/")[2]

    @property
    def order(self) -> tuple[str, int, str]:
        """A sort key that puts numbers in numerical order."""
        folder, _, stem = self.name.rpartition("/")
        return (folder, int(stem) if stem.isdecimal() else -1, stem)


@dataclass(frozen=True)
class Issue:
    """Something wrong with a dataset.

    Attributes:
        kind: What it is, in a few words; issues of the same kind are counted together.
        place: The file or folder.
        remedy: What to do about it.
        tolerable: Whether ``data.allow_partial=true`` ignores it.
        count: How many files it concerns.
    """

    kind: str
    place: str
    remedy: str
    tolerable: bool = False
    count: int = 1


@dataclass
class Listing:
    """The pairs of one folder and its issues."""

    pairs: list[PairFiles] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)


def list_pairs(root: Path, folder: str, raw_folder: str, target_folder: str) -> Listing:
    """Pairs the files of two folders by name.

    The RAW folder may have subfolders; their files share the targets.

    Args:
        root: The dataset's folder.
        folder: The folder below it that holds the two; empty for the root itself.
        raw_folder: Name of the folder with the mosaics.
        target_folder: Name of the folder with the targets.

    Returns:
        The pairs, numbers in numerical order, and the issues.
    """
    raws = dict(_files(root, os.path.join(folder, raw_folder), RAW_SUFFIXES))
    targets = dict(_files(root, os.path.join(folder, target_folder), TARGET_SUFFIXES))
    stems = {name.rpartition("/")[2] for name in raws}
    result = Listing()
    for name, (raw, raw_stamp) in raws.items():
        target = targets.get(name.rpartition("/")[2])
        if target is None:
            where = os.path.join(folder, target_folder)
            result.issues.append(Issue(f"RAW file without a target of its name in {where}/", raw, _PARTNER, True))
        else:
            result.pairs.append(PairFiles(name, raw, target[0], raw_stamp, target[1]))
    where = os.path.join(folder, raw_folder)
    result.issues += [
        Issue(f"target without a RAW file of its name in {where}/", path, _PARTNER, True)
        for name, (path, _) in targets.items()
        if name not in stems
    ]
    result.pairs.sort(key=lambda pair: pair.order)
    result.issues.sort(key=lambda issue: (issue.kind, issue.place))
    return result


_PARTNER = "a pair has one name in both folders; restore the partner or remove the file"


def _files(root: Path, folder: str, suffixes: Sequence[str]) -> Iterator[tuple[str, tuple[str, tuple[int, int]]]]:
    """Names, paths and stamps of the image files in a folder and its subfolders."""
    for entry in os.scandir(root / folder):
        if entry.name.startswith("."):
            continue
        path = os.path.join(folder, entry.name)
        stem, suffix = os.path.splitext(entry.name)
        if entry.is_dir():
            for name, found in _files(root, path, suffixes):
                yield f"{entry.name}/{name}", found
        elif suffix.lower() in suffixes:
            status = entry.stat()
            yield stem, (path, (status.st_size, status.st_mtime_ns))
