"""``ispbench runs``: the local runs with state, score and time, and what distinguishes two of them."""

import argparse
import datetime
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from ispbench.errors import UserError
from ispbench.results.record import load_records

STATES = ("running", "killed", "finished", "interrupted", "failed")
_ABSENT = "-"


def state(record: Mapping[str, Any], outputs: Path) -> str:
    """The status of a run; ``killed`` where a record says ``running`` but no process does.

    Args:
        record: Of the run.
        outputs: Folder of the runs, where those in progress hold their locks.

    Returns:
        One of `STATES`, or ``running?`` for a record that names no lock.
    """
    if record["status"] != "running":
        return record["status"]
    if not record.get("cell"):
        return "running?"
    from ispbench.results.cells import in_use

    return "running" if in_use(outputs, record["cell"]) else "killed"


def reason(error: str | None) -> str:
    """The line of an error that says what happened: the last of a traceback, the first of a sentence."""
    lines = [line for line in (error or "").splitlines() if line.strip()]
    if not lines:
        return ""
    return lines[-1 if lines[0].startswith("Traceback") else 0].strip()


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of a configuration under their full keys, such as ``optimizer.lr``."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The leaves in which two configurations differ, with both values; ``-`` where one has no such key."""
    left, right = flatten(first), flatten(second)
    pairs = {key: (left.get(key, _ABSENT), right.get(key, _ABSENT)) for key in sorted({*left, *right})}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def find(records: Iterable[dict[str, Any]], part: str) -> dict[str, Any]:
    """The one run whose id is, or holds, `part`.

    Raises:
        UserError: if there is none or more than one.
    """
    by_id = {record["id"]: record for record in records}
    matches = [part] if part in by_id else [name for name in by_id if part in name]
    if len(matches) == 1:
        return by_id[matches[0]]
    if matches:
        shown = ", ".join(matches[-5:])
        raise UserError(f"{part!r} is a part of {len(matches)} ids; give more of one: {shown}.")
    near = get_close_matches(part, by_id, n=1, cutoff=0.3)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UserError(f"No run has {part!r} in its id.{hint} List them: python -m ispbench runs")


def _from_default(record: Mapping[str, Any]) -> dict[str, tuple[Any, Any]] | None:
    """How a run's configuration differs from what its model and data have by default; None if they are gone."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from ispbench.config import compose

    try:
        composed = compose([f"model={record['model']}", f"data={record['dataset']}"])
        sections = {**composed, **composed.callbacks}
        default = {
            key: OmegaConf.to_container(section, resolve=True) if OmegaConf.is_config(section) else section
            for key, section in sections.items()
            if key in record["config"]
        }
    except (UserError, OmegaConfBaseException):
        return None
    known = flatten(record["config"])  # a record leaves out where things lie
    return {key: pair for key, pair in differences(default, record["config"]).items() if key in known}


def _number(value: Any, pattern: str) -> str:
    return _ABSENT if value is None else pattern.format(value)


def _psnr(record: Mapping[str, Any]) -> str:
    if record["metrics"].get("psnr") is not None:
        return f"{record['metrics']['psnr']:.2f}"
    return _number(record["training"].get("val_psnr"), "{:.2f} val")


def _time(seconds: float | None) -> str:
    return _ABSENT if seconds is None else str(datetime.timedelta(seconds=round(seconds)))


def _print_list(records: list[tuple[str, dict[str, Any]]], console: Console) -> None:
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("id", "state"):
        table.add_column(heading, no_wrap=True)
    table.add_column("model", overflow="fold", min_width=20)
    table.add_column("protocol", overflow="fold", min_width=20)
    for heading in ("seed", "steps", "PSNR ↑", "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    for status, record in records:
        cells = (
            record["id"],
            status,
            f"{record['model']} {record['variant']}".strip(),
            record["protocol"],
            str(record["seed"]),
            _number(record["training"].get("steps"), "{:,}"),
            _psnr(record),
            _time(record["training"].get("wall_time_s")),
        )
        table.add_row(*map(_plain, cells))
    console.print(table)
    for status, record in records:
        if record["error"]:
            line = f"{record['id']} {status}: {reason(record['error'])}"
            console.print(line, markup=False, highlight=False, soft_wrap=True)


def _print_pairs(title: str, headings: tuple[str, ...], rows: Iterable[tuple[Any, ...]], console: Console) -> None:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for heading in headings:
        table.add_column(_plain(heading), overflow="fold")
    for row in rows:
        table.add_row(*(_plain(f"{cell:.6g}" if isinstance(cell, float) else str(cell)) for cell in row))
    if table.row_count:
        console.print(table)


def _plain(text: str) -> str:
    """Text whose brackets rich does not read as styles."""
    from rich.markup import escape

    return escape(text)


def _show_one(record: dict[str, Any], status: str, console: Console) -> None:
    facts = {
        key: record.get(key)
        for key in ("id", "model", "variant", "protocol", "seed", "date", "config_hash", "ispbench")
    }
    facts = {"state": status} | facts | flatten(record["git"], "git.") | flatten(record["data"], "data.")
    _print_pairs("Run", ("field", "value"), facts.items(), console)
    for section in ("metrics", "complexity", "efficiency", "training", "notes"):
        _print_pairs(section.capitalize(), (section, "value"), flatten(record[section]).items(), console)
    changed = _from_default(record)
    if changed is None:
        _print_pairs("Configuration", ("key", "value"), flatten(record["config"]).items(), console)
    elif changed:
        rows = [(key, *pair) for key, pair in changed.items()]
        _print_pairs("Other than the default", ("key", "default", "this run"), rows, console)
    else:
        console.print("The configuration is the default of its model and data.")
    if record["error"]:
        console.print(record["error"], markup=False, highlight=False)


def _show_two(first: dict[str, Any], second: dict[str, Any], console: Console) -> None:
    def settings(record: dict[str, Any]) -> dict[str, Any]:
        named = {"protocol": record["protocol"], "rules": record["rules"], "commit": record["git"].get("commit")}
        return record["config"] | {"run": named | {"data": record["data"].get("fingerprint")}}

    headings = (first["id"], second["id"])
    changed = [(key, *pair) for key, pair in differences(settings(first), settings(second)).items()]
    if changed:
        _print_pairs("Settings that differ", ("key", *headings), changed, console)
    else:
        console.print("The two runs have the same settings.")
    rows = []
    for section in ("metrics", "complexity", "efficiency", "training"):
        left, right = flatten(first[section]), flatten(second[section])
        for name in sorted({*left, *right}):
            pair = left.get(name, _ABSENT), right.get(name, _ABSENT)
            if section != "metrics" and pair[0] == pair[1]:
                continue
            numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in pair)
            rows.append((name, *pair, f"{pair[1] - pair[0]:+.6g}" if numbers else ""))
    _print_pairs("Scores", ("score", *headings, "second - first"), rows, console)


def main(arguments: list[str]) -> None:
    """``ispbench runs`` and ``ispbench runs show``."""
    places = argparse.ArgumentParser(add_help=False)
    places.add_argument("--results", type=Path, default=Path("results"), help="results folder (default: results)")
    places.add_argument("--outputs", type=Path, default=Path("outputs"), help="folder of the runs (default: outputs)")
    console = Console()
    console.width = max(console.width, 140)
    if arguments[:1] == ["show"]:
        parser = argparse.ArgumentParser(
            prog="ispbench runs show", parents=[places], description="Show one run, or what distinguishes two."
        )
        parser.add_argument("ids", nargs="+", metavar="ID", help="a part of a run's id that no other id has")
        options = parser.parse_args(arguments[1:])
        records = load_records(options.results / "runs")
        chosen = [find(records, part) for part in options.ids]
        if len(chosen) > 2:
            raise UserError(f"runs show takes one or two ids, not {len(chosen)}.")
        if len(chosen) == 2:
            _show_two(chosen[0], chosen[1], console)
        else:
            _show_one(chosen[0], state(chosen[0], options.outputs), console)
        return

    parser = argparse.ArgumentParser(
        prog="ispbench runs",
        parents=[places],
        description="List the local runs, newest first.",
        epilog="ispbench runs show ID [ID2] prints one run, or what distinguishes two.",
    )
    parser.add_argument("--status", choices=STATES, help="only runs of this state")
    parser.add_argument("--model", default="*", help="only this model, such as 'awnet*'")
    options = parser.parse_args(arguments)
    if not options.results.is_dir():
        raise UserError(f"There is no folder {options.results}; run a training first or pass --results.")
    found = [(state(record, options.outputs), record) for record in reversed(load_records(options.results / "runs"))]
    found = [
        (status, record)
        for status, record in found
        if fnmatch(record["model"], options.model) and options.status in (None, status.rstrip("?"))
    ]
    if not found:
        console.print("No such runs. Start one: python -m ispbench model=metaisp data=mini")
        return
    _print_list(found, console)
