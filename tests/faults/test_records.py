"""Records that are damaged, doubled or edited by hand, and many processes that read and write them at once."""

import contextlib
import io
import json
import multiprocessing
import os
import random
import time

import pytest

from ispbench.cli.verbs.leaderboard import Settings as Leaderboard
from ispbench.cli.verbs.leaderboard import run as leaderboard
from ispbench.cli.verbs.runs import Settings as Runs
from ispbench.cli.verbs.runs import run as list_runs
from ispbench.cli.verbs.runs.show import Settings as Show
from ispbench.cli.verbs.runs.show import run as show
from ispbench.errors import UserError
from ispbench.results import store
from ispbench.results.claims import claim, in_use
from ispbench.results.lookup import list_runs as lookup
from ispbench.results.records import EvaluationRecord, TrainingRecord
from tests.faults.harness import count
from tests.results.runs import save_run

ODD = [None, True, -1, 0.5, 1e999, 10**30, "", "[/x]", "\ud800", [], {}, [1], {"psnr": "x"}]


def whole(results):
    """Two runs as they are in a results folder; the paths of their records."""
    for key in ("a" * 16, "b" * 16):
        save_run(
            results,
            key,
            config={"model": {"width": 8}, "optimizer": {"lr": 0.1}},
            training={"steps": 3, "wall_time_s": 2.0, "val_psnr": 19.0},
            complexity={"params": 10, "gmacs": 0.1, "gmacs_input": "8x8"},
            efficiency={"latency_ms": 3.0, "device": "cpu"},
        )
    return sorted(results.glob("*/*.json"))


def look(results, key, ways=(0, 1, 2)):
    """Reads a results folder in the ways that a user has."""
    with contextlib.redirect_stdout(io.StringIO()):
        if 0 in ways:
            leaderboard(Leaderboard(results=results))
        if 1 in ways:
            list_runs(Runs(results=results, outputs=results))
        if 2 in ways:
            with contextlib.suppress(UserError):  # it may be gone
                show(Show(ids=[key], results=results, outputs=results))


def places(value, path=()):
    """The ways to all leaves and branches of a record."""
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*path, key))


def test_records_that_were_edited(attempt, tmp_path, capsys):
    paths = whole(tmp_path)
    draw = random.Random(0)
    for number in range(count(240, 12)):
        path = draw.choice(paths)
        content = path.read_text()
        record = json.loads(content)
        way = draw.choice(list(places(record))[1:])
        place = record
        for key in way[:-1]:
            place = place[key]
        if draw.random() < 0.3:
            del place[way[-1]]
        else:
            place[way[-1]] = draw.choice(ODD)
        path.write_text(json.dumps(record))
        look(tmp_path, "a" * 16, [number % 3])
        attempt.note("a record with a field gone or changed", "left out or shown")
        path.write_text(content)
    assert "Traceback" not in capsys.readouterr().err


def test_records_with_changed_bytes(attempt, tmp_path, capsys):
    paths = whole(tmp_path)
    draw = random.Random(1)
    for number in range(count(120, 6)):
        path = draw.choice(paths)
        content = path.read_bytes()
        changed = bytearray(content)
        for _ in range(draw.choice([1, 5])):
            changed[draw.randrange(len(changed))] = draw.randrange(256)
        path.write_bytes(changed[: draw.randrange(len(changed))] if draw.random() < 0.3 else changed)
        look(tmp_path, "a" * 16, [number % 3])
        attempt.note("a record with random bytes", "left out or shown")
        path.write_bytes(content)
    assert "Traceback" not in capsys.readouterr().err


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def link(path):
    path.unlink()
    path.symlink_to("nothing")


def folder(path):
    path.unlink()
    path.mkdir()


def copy(path):
    path.with_name("copy.json").write_bytes(path.read_bytes())


def double(path):
    record = json.loads(path.read_text())
    record["id"] = f"copy-{record['key']}"
    path.with_name(f"{record['id']}.json").write_text(json.dumps(record))


@pytest.mark.parametrize("breaks", [pipe, link, folder, copy, double], ids=lambda breaks: breaks.__name__)
def test_a_bad_record_is_named_and_fails_only_the_check(attempt, tmp_path, breaks, capsys):
    path = whole(tmp_path)[0]
    breaks(path)
    look(tmp_path, "b" * 16)
    told = capsys.readouterr().err
    assert ("copy-" if breaks is double else "copy.json" if breaks is copy else path.name) in told
    rows = store.load(tmp_path)
    assert {row["key"] for row in rows} == {"a" * 16, "b" * 16}  # of a training whose evaluation is bad, itself
    attempt.refused(f"leaderboard --check with a {breaks.__name__}", lambda: quiet_check(tmp_path))


def quiet_check(results):
    with contextlib.redirect_stdout(io.StringIO()):
        leaderboard(Leaderboard(results=results, check=True))


KEYS = [f"{number:016x}" for number in range(6)]


def write_always(results, seed, end, faults):
    draw = random.Random(seed)
    while time.monotonic() < end:
        key = draw.choice(KEYS)
        with claim(results, key, wait=True):
            name = draw.choice(["lan", "metaisp"])
            store.save(results, TrainingRecord(key=key, model=name, dataset="mini", status="running"))
            evaluation = EvaluationRecord(
                key=key, model=name, dataset="mini", protocol="mini-v2/x", training_key=key, metrics={"psnr": 1.0}
            )
            store.save(results, evaluation, "image,psnr\n")
        mine = f"{seed:08x}{draw.randrange(2**32):08x}"
        with claim(results, mine) as free:
            if not free:
                faults.put(f"nobody else has {mine}")


def read_always(results, seed, end, faults):
    draw = random.Random(seed)
    while time.monotonic() < end:
        rows, told = store.survey(results)
        for fault in told:
            faults.put(fault)
        if {row["key"] for row in rows} != set(KEYS):
            faults.put(f"missing: {set(KEYS) - {row['key'] for row in rows}}")
        for kind in ("training", "evaluation"):
            if store.find(results, kind, draw.choice(KEYS)) is None:
                faults.put(f"{kind} not found")
        for run in lookup(results, results):
            in_use(results, run.record["key"])
        for lock in (results / "claims").glob("*.lock"):
            in_use(results, lock.stem)


def test_eight_writers_and_readers_at_once(attempt, tmp_path):
    for key in KEYS:
        save_run(tmp_path, key)
    context = multiprocessing.get_context("fork")
    faults = context.Queue()
    end = time.monotonic() + count(20, 4)
    jobs = [*[write_always] * 4, *[read_always] * 4]
    processes = [context.Process(target=job, args=(tmp_path, seed, end, faults)) for seed, job in enumerate(jobs)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 8
    assert faults.empty(), faults.get()
    attempt.note("eight writers and readers at once", "went well", 8)
