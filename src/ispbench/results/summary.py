"""What a record says, as rows of tables: one run among others, one by itself, or two beside each other."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ispbench.results.differences import ABSENT, changes_from_default, differences, flatten
from ispbench.results.lookup import Run

HEADINGS = ("run", "state", "model", "protocol", "seed", "steps", "PSNR ↑", "time")
_MEASURED = ("metrics", "complexity", "efficiency", "dynamic", "training")


@dataclass(frozen=True)
class Section:
    """A table of a report.

    Attributes:
        title: Of the table.
        headings: Of its columns.
        rows: Their cells; none where there is nothing to say.
        instead: A sentence for a table without rows; nothing if it is to be left out.
    """

    title: str
    headings: tuple[str, ...]
    rows: list[tuple[str, ...]]
    instead: str = ""


def row(run: Run) -> tuple[str, ...]:
    """A run in a list of runs, under `HEADINGS`."""
    record = run.record
    return (
        short_name(run),
        run.state,
        f"{record['model']} {record['variant']}".strip(),
        record["protocol"] + (f" ({record['split']})" if record.get("split") not in (None, "", "test") else ""),
        str(record["seed"]),
        _number(record["training"].get("steps"), "{:,}"),
        _psnr(record),
        _time(record["training"].get("wall_time_s")),
    )


def short_name(run: Run) -> str:
    """The part of a run's id that no other id has: its key, or all of it where it has none."""
    return run.record.get("key") or run.record["id"]


def reason(error: str | None) -> str:
    """The line of an error that says what happened: the last of a traceback, the first of a sentence."""
    lines = [line for line in (error or "").splitlines() if line.strip()]
    if not lines:
        return ""
    return lines[-1 if lines[0].startswith("Traceback") else 0].strip()


def describe(run: Run) -> list[Section]:
    """All that is known of a run: what it was, what it measured, and where it leaves the defaults."""
    record = run.record
    named = ("id", "model", "variant", "protocol", "seed", "date", "config_hash", "ispbench")
    facts = {"state": run.state} | {name: record.get(name) for name in named}
    facts |= flatten(record["git"], "git.") | flatten(record["data"], "data.")
    sections = [_section("Run", ("field", "value"), facts)]
    for part in (*_MEASURED, "notes"):
        sections.append(_section(part.capitalize(), (part, "value"), flatten(record[part])))
    changed = changes_from_default(record)
    if changed is None:
        sections.append(_section("Configuration", ("key", "value"), flatten(record["config"])))
    else:
        default = "The configuration is the default of its model and data."
        sections.append(_section("Other than the default", ("key", "default", "this run"), changed, default))
    return sections


def distinguish(first: Run, second: Run) -> list[Section]:
    """What two runs were set to differently, and how their scores differ."""
    ids = (first.record["id"], second.record["id"])
    changed = differences(_settings(first.record), _settings(second.record))
    same = "The two runs have the same settings."
    scores = []
    for part in _MEASURED:
        left, right = flatten(first.record[part]), flatten(second.record[part])
        for name in sorted({*left, *right}):
            pair = left.get(name, ABSENT), right.get(name, ABSENT)
            if part != "metrics" and pair[0] == pair[1]:
                continue
            numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in pair)
            scores.append((name, *map(_cell, pair), f"{pair[1] - pair[0]:+.6g}" if numbers else ""))
    return [
        _section("Settings that differ", ("key", *ids), changed, same),
        Section("Scores", ("score", *ids, "second - first"), scores),
    ]


def _settings(record: Mapping[str, Any]) -> dict[str, Any]:
    named = {"protocol": record["protocol"], "rules": record["rules"], "commit": record["git"].get("commit")}
    return record["config"] | {"run": named | {"data": record["data"].get("fingerprint")}}


def _section(title: str, headings: tuple[str, ...], values: Mapping[str, Any], instead: str = "") -> Section:
    cells = ((key, *(value if isinstance(value, tuple) else (value,))) for key, value in values.items())
    return Section(title, headings, [tuple(map(_cell, line)) for line in cells], instead)


def _cell(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _number(value: Any, pattern: str) -> str:
    return ABSENT if value is None else pattern.format(value)


def _psnr(record: Mapping[str, Any]) -> str:
    if record["metrics"].get("psnr") is not None:
        return f"{record['metrics']['psnr']:.2f}"
    return _number(record["training"].get("val_psnr"), "{:.2f} val")


def _time(seconds: float | None) -> str:
    return ABSENT if seconds is None else str(datetime.timedelta(seconds=round(seconds)))
