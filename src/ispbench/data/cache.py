"""The user's cache folder, and folders in it that are either complete or absent."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from platformdirs import user_cache_dir

from ispbench.errors import UserError


def cache_folder(configured: str | None = None) -> Path:
    """The configured folder, else ``$ISPBENCH_CACHE``, else the user's cache folder of ispbench.

    Raises:
        UserError: if it is to be in a home folder, and the user has none.
    """
    try:
        return Path(configured or os.environ.get("ISPBENCH_CACHE") or user_cache_dir("ispbench")).expanduser()
    except RuntimeError as error:
        raise UserError("There is no home folder to keep the cache in; set ISPBENCH_CACHE to a folder.") from error


def build_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """Returns the folder, building it first if it does not exist.

    It is built under a temporary name and then renamed, so that an interrupted build leaves nothing behind that looks
    complete. If two processes build it at the same time, the first to finish wins.

    Raises:
        UserError: if the cache cannot be written to.
    """
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise UserError(
            f"The cache {folder.parent} cannot be written ({error.strerror}); set ISPBENCH_CACHE to another folder."
        ) from error
    try:
        build(scratch)
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
