"""Reading one record from a file, which may be cut short, edited by hand, or something else altogether."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ispbench.errors import UserError
from ispbench.results.records import SCHEMA

_ALL = ("id", "date", "status", "model")
# Text that each kind of record has to have; None stands for schema 1, where one record is of a training and its test.
_TEXT: Mapping[str | None, tuple[str, ...]] = {
    "training": (*_ALL, "kind", "key", "dataset"),
    "evaluation": (*_ALL, "kind", "key", "dataset", "protocol", "split", "rules"),
    None: (*_ALL, "protocol"),
}
_COMMON = ("config", "data", "notes", "versions", "git")
_MAPPINGS: Mapping[str | None, tuple[str, ...]] = {
    "training": (*_COMMON, "training"),
    "evaluation": (*_COMMON, "checkpoint", "metrics", "by", "complexity", "efficiency", "dynamic"),
    None: ("config", "data", "notes", "metrics", "complexity", "efficiency", "training"),
}
_SINGLE: Mapping[str, tuple[type, ...]] = {  # and may be null
    "seed": (int,),
    "simulated": (bool,),
    **dict.fromkeys(("variant", "error", "training_key", "weights", "rules", "split"), (str,)),
}
_LARGEST = 1e15
# By section; likewise.
_WHOLE = {"config": ("limit",), "data": ("n_images",), "complexity": ("params", "params_used")}
_NUMBERS = {  # where numbers are compared and shown; null where nothing was measured
    "metrics": None,
    "training": ("steps", "wall_time_s", "val_psnr"),
    "complexity": ("params", "gmacs"),
    "efficiency": ("latency_ms", "latency_iqr_ms"),
}


def read(path: Path, kind: str | None) -> dict[str, Any]:
    """A record; where one of its sections is missing, there is an empty one.

    Args:
        path: Its file.
        kind: training or evaluation; None for a record of schema 1.

    Raises:
        FileNotFoundError: if there is no such file.
        UserError: for a file that is no such record.
    """
    record = parse(path)
    schema = 1 if kind is None else SCHEMA
    if not isinstance(record, dict) or record.get("schema") != schema:
        raise UserError(f"{path} is not a record of schema {schema}; move it out of {path.parent}.")
    empty: dict[str, Any] = {name: {} for name in _MAPPINGS[kind]} | {"variant": "", "seed": None, "error": None}
    record = empty | record
    if fault := _fault(record, path, kind):
        raise UserError(f"{path} is not a sound record ({fault}); delete or restore it.")
    return record


def parse(path: Path) -> Any:
    """What a file of JSON holds, whether or not it is a record.

    Raises:
        FileNotFoundError: if there is no such file.
        UserError: if it holds no JSON.
    """
    try:
        if not path.is_file() and (path.exists() or path.is_symlink()):
            raise OSError("not a file with content")
        text = path.read_text(encoding="utf-8")
        record = json.loads(text, parse_constant=_refuse)
        if "\\ud" in text.lower():  # half a character, which JSON lets pass and no file takes
            json.dumps(record, ensure_ascii=False).encode()
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is not a readable record ({error}); delete or restore it.") from error
    return record


def read_any(path: Path) -> dict[str, Any]:
    """A record of the kind that its folder holds, ``trainings`` or ``evaluations``; see `read`."""
    return read(path, path.parent.name.removesuffix("s"))


def _fault(record: Mapping[str, Any], path: Path, kind: str | None) -> str:
    """What is wrong with a record; empty if nothing is."""
    for names, types in ((_TEXT[kind], (str,)), (_MAPPINGS[kind], (dict,))):
        for name in names:
            if name not in record:
                return f"it has no {name}"
            if not isinstance(record[name], types):
                return f"its {name} is {_shown(record[name])}"
    for name, single in _SINGLE.items():
        if record.get(name) is not None and not isinstance(record[name], single):
            return f"its {name} is {_shown(record[name])}"
    if kind is not None and record["kind"] != kind:
        return f"it is of kind {_shown(record['kind'])}"
    if record["id"] != path.stem:
        return f"its id is {_shown(record['id'])}, and so is its file to be named"
    if kind is not None and not record["id"].endswith(f"-{record['key']}"):
        return f"its id does not end with its key, {_shown(record['key'])}"
    for section, compared in _NUMBERS.items():
        for name, value in record.get(section, {}).items():
            if (compared is None or name in compared) and not _is_number(value):
                return f"its {name} is {_shown(value)}"
    for section, names in _WHOLE.items():
        for name in names:
            value = record.get(section, {}).get(name)
            if value is not None and not (_is_number(value) and float(value).is_integer()):
                return f"its {name} is {_shown(value)}"
    if not isinstance(dirty := record.get("git", {}).get("dirty"), bool | None):
        return f"its dirty is {_shown(dirty)}"
    return ""


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and abs(value) < _LARGEST)


def _refuse(word: str) -> None:
    raise ValueError(f"it has {word}")


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
