"""Named sets of photographs: the files that each is made of, and how to get them.

``sets/NAME.csv`` lists the files with their splits, sizes, hashes and where they are published. Each split has the
photographs of a source whose SHA-256 is smallest, test before validation.
"""

import csv
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from ispbench.console import warn
from ispbench.data.cache import cached
from ispbench.data.image_files import inspect_file, show_path
from ispbench.data.photographs import SUFFIXES
from ispbench.data.sealed import DamagedError, read_json, sealed_json
from ispbench.errors import UserError
from ispbench.files import give_usual_permissions, write_atomically


@dataclass(frozen=True)
class SetFile:
    """A file of a set.

    Attributes:
        file: Its name in the folder that it is downloaded to.
        split: train, val or test.
        bytes: Its size.
        sha256: Of its content.
        url: Where it is published.
    """

    file: str
    split: str
    bytes: int
    sha256: str
    url: str


def set_names() -> list[str]:
    """The sets there are."""
    return sorted(
        item.name.removesuffix(".csv")
        for item in files("ispbench.data").joinpath("sets").iterdir()
        if ".csv" in item.name
    )


def sets_folder(cache: Path) -> Path:
    """Where the sets are that were downloaded, each in a folder of its name."""
    return cache / "sets"


def load_set(name: str) -> list[SetFile]:
    """The files of a set.

    Raises:
        UserError: for an unknown name.
    """
    if name not in set_names():
        raise UserError(f"There is no set of photographs {name!r}; choose one of {', '.join(set_names())}.")
    lines = files("ispbench.data").joinpath("sets", f"{name}.csv").read_text(encoding="utf-8").splitlines()
    return [
        SetFile(row["file"], row["split"], int(row["bytes"]), row["sha256"], row["url"])
        for row in csv.DictReader(lines)
    ]


def find_files(roots: Iterable[Path], skip: bool = False) -> list[Path]:
    """All image files below some folders, in order.

    Args:
        roots: The folders.
        skip: Whether to leave out, with a warning, what is no file that can be read.

    Raises:
        UserError: for a folder that is not there, or what is no file that can be read.
    """
    found: dict[Path, None] = {}
    for root in roots:
        if not root.is_dir():
            raise UserError(f"There is no folder {root}; set data.root to a folder of photographs, or a list of them.")
        listed = (path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and not path.is_dir())
        for path in sorted(listed):
            _, fault = inspect_file(path, show_path(path))
            if not fault:
                found[path.resolve()] = None
            elif skip:
                warn(f"skipped a photograph (data.on_error=skip): {fault}.")
            else:
                raise UserError(f"{fault}.")
    return list(found)


def hash_files(paths: Iterable[Path], configured: str | None = None) -> dict[Path, str]:
    """The SHA-256 of files; what the cache knows of an unchanged file (size, time) is not read again.

    Args:
        paths: The files.
        configured: The cache folder; None for the user's.

    Raises:
        UserError: for a file that cannot be read, or a cache that cannot be written.
    """
    index = cached("hashes.json", configured)
    try:
        known = read_json(index)
    except (OSError, DamagedError):
        known = {}
    found: dict[Path, str] = {}
    fresh: dict[str, list[Any]] = {}
    for path in paths:
        try:
            status = path.stat()
            stamp = [status.st_size, status.st_mtime_ns]
            entry = known.get(str(path))
            if entry is None or entry[:2] != stamp:
                with path.open("rb") as file:
                    entry = fresh[str(path)] = [*stamp, hashlib.file_digest(file, "sha256").hexdigest()]
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}); restore the file.") from error
        found[path] = entry[2]
    if fresh:
        index = cached("hashes.json", configured, to_write=True)
        write_atomically(index, sealed_json(known | fresh), "set ISPBENCH_CACHE to another folder")
    return found


def missing_of(name: str, hashes: Mapping[Path, str]) -> list[SetFile]:
    """The files of a set that are not among others, whatever they are called."""
    present = set(hashes.values())
    return [file for file in load_set(name) if file.sha256 not in present]


def fetch(name: str, folder: Path) -> int:
    """Downloads what a folder lacks of a set; every file is verified, and an interrupted download goes on.

    Args:
        name: Of the set.
        folder: Where its files shall be.

    Returns:
        How many files were downloaded.

    Raises:
        UserError: if a file cannot be downloaded, is not the expected one, or cannot be written.
    """
    import pooch
    import requests
    from rich.progress import Progress

    pooch.get_logger().setLevel("ERROR")
    listed = load_set(name)
    downloaded = 0
    with Progress(transient=True) as bar:
        task = bar.add_task(f"Fetching {name}", total=sum(file.bytes for file in listed))
        for file in listed:
            there = (folder / file.file).is_file() and (folder / file.file).stat().st_size == file.bytes
            try:
                pooch.retrieve(
                    file.url, f"sha256:{file.sha256}", file.file, folder, downloader=pooch.HTTPDownloader(timeout=30)
                )
                if not there:
                    give_usual_permissions(folder / file.file)
            except requests.RequestException as error:
                raise UserError(
                    f"{file.url} cannot be downloaded ({_reason(error)}); with a network the same command goes on, and "
                    f"without one, files from elsewhere serve as well: data.root=FOLDER."
                ) from error
            except ValueError as error:
                raise UserError(
                    f"{file.url} is no longer the file of {name} (its SHA-256 differs); get it elsewhere, put it into "
                    f"{folder} as {file.file}, and run the command again."
                ) from error
            except OSError as error:
                raise UserError(
                    f"{folder} cannot be written ({error.strerror or error}); free some space or set ISPBENCH_CACHE to "
                    "another folder."
                ) from error
            downloaded += not there
            bar.advance(task, file.bytes)
    return downloaded


def _reason(error: Exception) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        return f"status {response.status_code}"
    return "no connection" if "Connection" in type(error).__name__ else "no answer in time"
