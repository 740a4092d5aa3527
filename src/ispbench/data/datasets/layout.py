"""The files in a dataset's folder: which of them are pairs, and the issues with the rest."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ispbench.data.image_files import RAW_SUFFIXES, TARGET_SUFFIXES, inspect_file, show_path


@dataclass(frozen=True)
class PairFiles:
    """The two files of a pair.

    Attributes:
        name: The RAW file's path inside the RAW folder, without its suffix: ``12`` or ``set1/12``.
        raw: Its path below the dataset's folder.
        target: The target's path below the dataset's folder.
        raw_stamp: Size and modification time (ns) of the RAW file.
        target_stamp: Size and modification time (ns) of the target file.
        fault: Why the pair cannot be read, and what to do, as it stands in a sentence; empty if nothing is known.
    """

    name: str
    raw: str
    target: str
    raw_stamp: tuple[int, int]
    target_stamp: tuple[int, int]
    fault: str = ""

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
        skippable: Whether ``data.on_error=skip`` ignores it.
    """

    kind: str
    place: str
    remedy: str
    tolerable: bool = False
    count: int = 1
    skippable: bool = False


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
    raws, targets = _Found(), _Found()
    raws.search(root, os.path.join(folder, raw_folder), RAW_SUFFIXES)
    targets.search(root, os.path.join(folder, target_folder), TARGET_SUFFIXES)
    stems = {name.rpartition("/")[2] for name in raws.files}
    result = Listing(issues=raws.issues + targets.issues)
    for name, raw in raws.files.items():
        target = targets.files.get(name.rpartition("/")[2])
        if target is None:
            where = os.path.join(folder, target_folder)
            result.issues.append(Issue(f"RAW file without a target of its name in {where}/", raw.path, _PARTNER, True))
        else:
            fault = raw.fault or target.fault
            result.pairs.append(PairFiles(name, raw.path, target.path, raw.stamp, target.stamp, fault))
    where = os.path.join(folder, raw_folder)
    result.issues += [
        Issue(f"target without a RAW file of its name in {where}/", file.path, _PARTNER, True)
        for name, file in targets.files.items()
        if name not in stems
    ]
    result.pairs.sort(key=lambda pair: pair.order)
    result.issues.sort(key=lambda issue: (issue.kind, issue.place))
    return result


_PARTNER = "a pair has one name in both folders; restore the partner or remove the file"


_Folders = tuple[tuple[int, int], ...]  # device and inode of each


@dataclass(frozen=True)
class _File:
    path: str
    stamp: tuple[int, int]
    fault: str


class _Found:
    """The image files in a folder and its subfolders, by their names without suffixes.

    Attributes:
        files: Also those that cannot be read, with their faults.
        issues: With the folders.
    """

    def __init__(self) -> None:
        self.files: dict[str, _File] = {}
        self.issues: list[Issue] = []

    def search(self, root: Path, folder: str, suffixes: Sequence[str], prefix: str = "", above: _Folders = ()) -> None:
        """Adds the files of a folder; `above` are the folders that lead to it, so that a loop of links ends."""
        try:
            status = os.stat(root / folder)
            entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
        except OSError as error:
            remedy = f"it cannot be read ({error.strerror}); give yourself the permission or remove it"
            self.issues.append(Issue("unreadable folder", show_path(folder), remedy))
            return
        here = (status.st_dev, status.st_ino)
        if here in above:
            kind = "folder that leads back to itself"
            self.issues.append(Issue(kind, show_path(folder), "remove the link", skippable=True))
            return
        for entry in entries:
            path = os.path.join(folder, entry.name)
            stem, suffix = os.path.splitext(entry.name)
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                self.search(root, path, suffixes, f"{prefix}{show_path(entry.name)}/", (*above, here))
            elif suffix.lower() in suffixes:
                self._add(f"{prefix}{show_path(stem)}", root / path, show_path(path))

    def _add(self, name: str, place: Path, shown: str) -> None:
        other = self.files.get(name)
        if other is not None:
            fault = other.fault or f"{other.path} and {shown} have one name; remove one or rename it"
            self.files[name] = _File(other.path, other.stamp, fault)
            return
        self.files[name] = _File(shown, *inspect_file(place, shown))


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links
        return False
