"""The published JSON Schema of records, ``schemas/*.schema.json``, whose ``$id`` holds its version."""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

KINDS = ("training", "evaluation")


@cache
def schema_of(kind: str) -> dict[str, Any]:
    """The schema of a kind of record, one of `KINDS`."""
    path = Path(__file__).with_name("schemas") / f"{kind}.schema.json"
    return dict(json.loads(path.read_text()))


def breaches(record: Mapping[str, Any]) -> list[str]:
    """Where a record breaks its schema: the field, and what is wrong with it."""
    from jsonschema import Draft202012Validator

    kind = record.get("kind")
    if kind not in KINDS:
        return [f"kind is {kind!r}, not one of {', '.join(KINDS)}"]
    errors = Draft202012Validator(schema_of(kind)).iter_errors(record)
    return [_sentence(error) for error in sorted(errors, key=lambda error: list(map(str, error.absolute_path)))]


def _sentence(error: Any) -> str:
    place = ".".join(map(str, error.absolute_path))
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known, patterns = error.schema["properties"], error.schema.get("patternProperties", {})
        unknown = [
            name for name in error.instance if name not in known and not any(re.search(part, name) for part in patterns)
        ]
        return f"unknown field {', '.join(f'{place}.{name}' if place else name for name in unknown)}"
    if error.validator == "required":
        return f"{place or 'the record'}: {error.message}"
    return f"{place}: {error.message}"
