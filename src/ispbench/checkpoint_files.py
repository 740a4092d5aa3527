"""Checkpoint files: read once and without running their code, written whole or not at all.

Beside ``last.ckpt`` and ``best.ckpt`` stays the one that each has replaced, for the day on which a file is damaged.
"""

import hashlib
import io
import os
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import torch

from ispbench import pretrained
from ispbench.errors import UserError
from ispbench.files import write_atomically

PREVIOUS = {"last": "previous", "best": "previous_best"}  # where the one goes that is replaced
NEWEST = ("last", "previous", "best", "previous_best")  # in which order one is looked for to go on from
_TRUST = "If you trust its source, load it yourself and pass its state dict to ispbench.checkpoints.load_official."


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint file as it was read.

    Attributes:
        path: Where it lay.
        hash: Of its content.
        content: What it holds, on the CPU.
    """

    path: Path
    hash: str
    content: Mapping[str, Any] = field(repr=False)


def read(path: str | Path, known: str | None = None) -> Checkpoint:
    """Reads a checkpoint file once, without running any code that it may hold.

    Args:
        path: The file.
        known: The hash of its content as it was recorded; None where nobody did.

    Raises:
        UserError: if the file is missing, damaged or no checkpoint, if it holds more than tensors and plain values, or
            if it has changed.
    """
    path = Path(path)
    if not os.path.isfile(path):
        shipped = ", ".join(dict.fromkeys(name for _, name in pretrained.names()))
        raise UserError(
            f"There is no checkpoint file {path}; give a downloaded .pth, .pkl or .ckpt file, or the name of "
            f"weights that come with ispbench: {shipped}."
        )
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
            _check_sums(file)
            file.seek(0)
            warnings.simplefilter("ignore")  # what torch thinks of the pickle
            content = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}).") from error
    except Exception as error:  # what damaged or hostile bytes make of an unpickler has no common class
        raise UserError(_refusal(path, error)) from error
    if known not in (None, digest):
        raise UserError(f"{path} has changed: the hash of its content is {digest}, and was {known}.")
    if not isinstance(content, Mapping):
        raise UserError(f"{path} holds a {type(content).__name__}, not a dictionary of tensors.")
    if odd := [key for key in content if not isinstance(key, str)]:
        raise UserError(f"{path} is no checkpoint: its keys are not names but such as {str(odd[0])[:40]!r}.")
    return Checkpoint(path, digest, content)


def write(path: Path, content: Mapping[str, Any], keep: bool = True) -> None:
    """Writes a checkpoint beside its place and moves it there.

    Args:
        path: Of the file.
        content: Tensors and plain values.
        keep: Whether what it replaces is kept as `PREVIOUS` says.

    Raises:
        UserError: if the place cannot be written to; the checkpoints that were there are kept.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    previous = PREVIOUS.get(path.stem)
    write_atomically(
        path,
        buffer.getbuffer(),
        "set paths.outputs to another place; the checkpoints before it are kept",
        keep=path.with_stem(previous) if previous and keep else None,
    )


class _ChangedBitsError(Exception):
    """A checksum says so."""


def _check_sums(file: BinaryIO) -> None:
    """Compares the checksums of a zip archive, which torch writes but never looks at."""
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            if (member := archive.testzip()) is not None:
                raise _ChangedBitsError(f"the checksum of {member} is wrong: bits of the file have changed")


def _refusal(path: Path, error: Exception) -> str:
    """Says why a file is not read, without torch's advice to read it unsafely."""
    text = str(error)
    if found := re.search(r"GLOBAL (\S+)|Trying to (?:instantiate|call \w+ on|set attributes on) (\S+)", text):
        return f"{path} is refused: it asks for {next(filter(None, found.groups()))[:80]}, which is no tensor. {_TRUST}"
    if not isinstance(error, _ChangedBitsError):
        text = "it is damaged, cut short, or holds other things than tensors"
    return f"{path} is not a readable checkpoint: {text}."
