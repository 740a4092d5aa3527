"""What a row was made of, in words."""

import shlex
from collections.abc import Callable
from typing import Any

from ispbench.results.rows import Record, Row


def facts(row: Row) -> list[tuple[str, str]]:
    """Names and values, without those that the records do not know."""
    commits = _each(row, lambda record: record["git"].get("commit"))
    changed = any(record["git"].get("dirty") for record in row.records)
    versions = {f"{name} {version}" for record in row.records for name, version in record["versions"].items()}
    software = [f"ispbench {version}" for version in _each(row, lambda record: record["ispbench"])]
    found = {
        "command": "\n".join(_each(row, _command)),
        "made again by": "\n".join(f"python -m ispbench reproduce {key}" for key in _each(row, _repeatable)),
        "commit": " ".join(commits) + (", with uncommitted changes" if changed else ""),
        "commit of the training": " ".join(_each(row, lambda record: record["training"].get("commit"))),
        "versions": ", ".join([*software, *sorted(versions)]),
        "data": row.ranking.protocol.partition("/")[0],
        "fingerprint of the data": row.ranking.fingerprint,
        "trained on": row.ranking.trained_on,
        "budget": row.ranking.budget,
        "weights": " ".join(_each(row, lambda record: record.get("weights"))),
        "checkpoint": " ".join(_each(row, lambda record: record.get("checkpoint", {}).get("name"))),
        "seeds": " ".join(str(record["seed"]) for record in row.records if record.get("seed") is not None),
        "device": " ".join(_each(row, lambda record: record["training"].get("devices"))),
        "dates": " ".join(_each(row, lambda record: record["date"][:10])),
        "notes": "; ".join(dict.fromkeys(note for record in row.records for note in record["notes"].values())),
        "records": " ".join(record["id"] for record in row.records),
    }
    return [(name, value) for name, value in found.items() if value]


def _command(record: Record) -> str:
    """The command line that made a record; empty where it was made before commands were recorded."""
    words = record.get("command") or []
    return shlex.join(["python", "-m", "ispbench", *words]) if words else ""


def _repeatable(record: Record) -> str:
    """The key of an evaluation whose training can be repeated."""
    return record["key"] if record.get("training_key") else ""


def _each(row: Row, value: Callable[[Record], Any]) -> list[str]:
    """What the evaluations say, each once."""
    return list(dict.fromkeys(str(found) for record in row.records if (found := value(record))))
