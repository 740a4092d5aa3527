"""The user's cache folder, and what is in it: whole or absent, and usable by whoever shares the cache."""

import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from platformdirs import user_cache_dir

from ispbench.console import warn
from ispbench.errors import UserError
from ispbench.files import give_usual_permissions, scratch_prefix, sweep


def cache_folder(configured: str | None = None) -> Path:
    """The configured folder, else ``$ISPBENCH_CACHE``, else the user's cache folder of ispbench.

    Raises:
        UserError: if it is to be in a home folder, and the user has none.
    """
    try:
        return Path(configured or os.environ.get("ISPBENCH_CACHE") or user_cache_dir("ispbench")).expanduser()
    except RuntimeError as error:
        raise UserError("There is no home folder to keep the cache in; set ISPBENCH_CACHE to a folder.") from error


def cached(entry: str | Path, configured: str | None = None, to_write: bool = False) -> Path:
    """The path of a file or folder in the cache, whether it exists or not.

    It is in the cache folder if it can be read there, or could be written. Otherwise, as in a cache of somebody else's,
    it is in the user's own.

    Args:
        entry: Its path below the cache folder.
        configured: See `cache_folder`.
        to_write: Whether it is to be written, so that reading it is not enough.
    """
    place = cache_folder(configured) / entry
    if (not to_write and _is_readable(place)) or not _is_others(place.parent):
        return place
    try:
        own = Path(user_cache_dir("ispbench"))
    except RuntimeError:  # no home folder
        return place
    _tell(cache_folder(configured), own)
    return own / entry


def build_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """Returns the folder, building it first if it does not exist.

    It is built under a temporary name and then renamed, so that an interrupted build leaves nothing behind that looks
    complete. If two processes build it at the same time, the first to finish wins. What killed processes have left is
    removed.

    Raises:
        UserError: if the cache cannot be written to.
    """
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        sweep(folder.parent)
        scratch = Path(tempfile.mkdtemp(prefix=scratch_prefix(folder.name), dir=folder.parent))
    except OSError as error:
        raise UserError(
            f"The cache {folder.parent} cannot be written ({error.strerror}); set ISPBENCH_CACHE to another folder."
        ) from error
    try:
        build(scratch)
        give_usual_permissions(scratch)
        try:
            scratch.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    except OSError as error:
        raise UserError(
            f"Writing {folder} failed ({error.strerror}); free some space or set ISPBENCH_CACHE to another folder."
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _is_readable(path: Path) -> bool:
    return os.access(path, os.R_OK) and (not path.is_dir() or os.access(path, os.X_OK))


def _is_others(folder: Path) -> bool:
    """Whether a folder, or the next above it that exists, is one in which this user can create nothing."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return os.path.isdir(folder) and not os.access(folder, os.W_OK | os.X_OK)


@cache
def _tell(folder: Path, own: Path) -> None:
    if own != folder:
        warn(f"The cache {folder} is not yours to write to; what you cannot read there is kept in {own}.")
