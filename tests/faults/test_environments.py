"""Disks that are full or read-only, terminals that take little, paths that look like markup, users without a home."""

import errno
import os
import pwd
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from ispbench.cli.verbs.data.show import Settings as Show
from ispbench.evaluation.evaluate import evaluate
from ispbench.files import refuse_unwritable, write_atomically
from ispbench.metrics.table import choose
from ispbench.models.build import build_model
from ispbench.protocols.aligned import AlignedToRaw
from ispbench.protocols.flow import DIS
from ispbench.protocols.mapping import FittedGCM
from ispbench.results import store
from ispbench.results.records import EvaluationRecord
from tests.conftest import TINY_DATA
from tests.data.test_folder import folder_data, write_pair
from tests.faults.harness import Program, some

RUN = [
    *TINY_DATA,
    "model=lan",
    "trainer=cpu",
    "trainer.max_steps=2",
    "logger=csv",
    "metrics=quality",
    "metrics.scores=[psnr]",
]
KILOBYTES = [4, 8, 16, 32, 48, 64, 128, 256, 512, 1024, 1536, 2048, 3072, 4096, 6144]


@pytest.fixture
def disk():
    """Makes small disks of their own, of so many kilobytes; none where this user may not."""
    made = []

    def make(folder, kilobytes):
        folder.mkdir(parents=True)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", folder], capture_output=True
        )
        if done.returncode:
            pytest.skip("this user cannot mount a disk")
        made.append(folder)
        return folder

    yield make
    for folder in made:
        subprocess.run(["umount", folder], check=True)


def scores(results):
    return [row["metrics"] for row in store.load(results) if row["metrics"]]


@pytest.mark.parametrize("kilobytes", some(KILOBYTES, 1))
def test_a_full_disk_at_any_moment(attempt, tmp_path, disk, kilobytes):
    folder = disk(tmp_path / "disk", kilobytes)
    ended = attempt.program("a full disk", *RUN, cwd=folder, status=[0, 1])
    if ended.status:
        assert "No space left on device" in ended.err
        subprocess.run(["mount", "-o", "remount,size=64m", folder], check=True)
        attempt.program("the same with more space", *RUN, cwd=folder)
    assert len(scores(folder / "results")) == 1


def small_files(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def files_of_1_kb():
    small_files(2**10)


def files_of_8_kb():
    small_files(2**13)


def files_of_128_kb():
    small_files(2**17)


@pytest.mark.parametrize("limit", some([files_of_8_kb, files_of_1_kb, files_of_128_kb], 0))
def test_files_that_may_not_grow(attempt, tmp_path, limit):
    attempt.program("files that may not grow", *RUN, cwd=tmp_path, arrange=limit, status=1, says="File too large")
    attempt.program("the same without a limit", *RUN, cwd=tmp_path)
    assert len(scores(tmp_path / "results")) == 1


@pytest.mark.parametrize("place", some(["outputs", "results"], 1))
def test_a_disk_that_cannot_be_written(attempt, tmp_path, disk, place):
    folder = disk(tmp_path / place, 64)
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    attempt.program(f"read-only {place}", *RUN, cwd=tmp_path, status=1, says=f"set paths.{place}")


@pytest.mark.parametrize("place", some(["results", "outputs", "results/trainings", "outputs/claims"], 1))
def test_a_file_in_the_place_of_a_folder(attempt, tmp_path, place):
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).touch()
    attempt.program("a file in the place of a folder", *RUN, cwd=tmp_path, status=1, says="set paths.")


def full_output():
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)


def full_outputs():
    full_output()
    os.dup2(1, 2)


def closed_output():
    os.close(1)
    sys.stdout = None


def closed_outputs():
    closed_output()
    os.close(2)
    sys.stderr = None


def reader_that_left():
    reading, writing = os.pipe()
    os.dup2(writing, 1)
    os.close(reading)
    os.close(writing)
    sys.stdout = os.fdopen(1, "w", closefd=False)  # the one there is takes its output for a file


def ascii_only():
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="ascii")


STREAMS = {full_output: 1, full_outputs: 1, closed_output: 0, closed_outputs: 0, reader_that_left: 1, ascii_only: 0}


@pytest.mark.parametrize("arrange", some(STREAMS, 1), ids=lambda arrange: arrange.__name__)
def test_a_run_outlasts_its_terminal(attempt, tmp_path, arrange):
    (tmp_path / "é").mkdir()
    ended = Program("callbacks=default", *RUN, cwd=tmp_path / "é", arrange=arrange).wait()
    assert "Traceback" not in ended.out + ended.err
    assert ended.status == STREAMS[arrange], ended
    assert len(scores(tmp_path / "é" / "results")) == 1
    attempt.note(f"a run with {arrange.__name__.replace('_', ' ')}", "its record is kept")


@pytest.mark.parametrize("name", some(["a[/x]b", "[red]", "a b;c", "a'b\"c", "%s{0}$HOME", "é\n"], 1))
def test_paths_that_look_like_something_else(attempt, tmp_path, name):
    folder = tmp_path / name
    folder.mkdir(parents=True)
    attempt.program("odd paths", *RUN, cwd=folder)
    for verb in some(["leaderboard", "runs"], 0):
        attempt.program(f"odd paths, {verb}", verb, cwd=folder)
    assert len(scores(folder / "results")) == 1


def nobody():
    """A user whom the system does not know, without a home."""
    for name in ("HOME", "XDG_CACHE_HOME", "USER", "LOGNAME", "ISPBENCH_CACHE"):
        os.environ.pop(name, None)

    def unknown(_):
        raise KeyError("no such user")

    pwd.getpwuid = unknown


@pytest.mark.parametrize(
    "words, status",
    some(
        [
            (RUN, 0),
            (["model=lan", "data=photos", "trainer=cpu"], 1),
            (
                [
                    "model=lan",
                    "data=folder",
                    "data.black_level=0",
                    "data.white_level=255",
                    "data.root='~/x'",
                    "trainer=cpu",
                ],
                1,
            ),
            (["data", "check", "data=camera", "data.root='~/x'"], 1),
        ],
        1,
    ),
)
def test_a_user_without_a_home(attempt, tmp_path, words, status):
    says = "home folder" if status else ""
    attempt.program("no home", *words, cwd=tmp_path, arrange=nobody, status=status, says=says)


def test_a_finished_record_is_kept_where_its_folder_does_not_take_it(attempt, tmp_path, monkeypatch):
    record = EvaluationRecord(
        key="e" * 16, model="lan", dataset="mini", protocol="mini-v2/x", status="finished", metrics={"psnr": 20.0}
    )
    (tmp_path / "results").touch()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    said = attempt.refused("results without space", lambda: store.save(tmp_path / "results", record, "image,psnr\n"))
    folder = Path(said.rpartition("kept in ")[2].rstrip("."))
    assert (folder / f"{record.id}.json").read_text() == record.content()
    assert (folder / f"{record.id}.scores.csv").read_text() == "image,psnr\n"
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    attempt.refused("nowhere any space", lambda: store.save(tmp_path / "results", record), "{'psnr': 20.0}")


def test_a_folder_that_takes_nothing_is_refused_at_once(attempt, tmp_path, disk):
    folder = disk(tmp_path / "disk", 8)
    attempt.refused("a full folder", lambda: refuse_unwritable(folder), "No space left on device")
    assert not list(folder.iterdir())


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_write_that_fails_leaves_what_was_there(attempt, tmp_path, monkeypatch, code, call):
    (tmp_path / "file").write_text("before")

    def fails(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, fails)
    with attempt.keeps("a failed write", tmp_path):
        attempt.refused("a failed write", lambda: write_atomically(tmp_path / "file", "after"), os.strerror(code))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["pairs", "pairs.gif", "pairs.", ".png"])
def test_a_grid_of_pairs_without_a_format(attempt, name):
    what = "data show --output without a format"
    attempt.refused(what, lambda: Show(output=Path(name)), "is to end in .png or .jpg")


def test_a_dataset_whose_name_looks_like_markup(attempt, tmp_path, rng):
    for number in range(10):
        write_pair(tmp_path / "data", number, rng, size=(64, 64))
    data = folder_data(tmp_path / "data", "data.version='[/x]'", f"data.cache={tmp_path / 'cache'}", "data.pack=always")
    protocol = AlignedToRaw(DIS(), FittedGCM(steps=2), cache=str(tmp_path / "cache"))
    evaluate(build_model("classical"), data, protocol, "test", choose(["psnr"]), progress=True)
    attempt.note("a dataset whose name looks like markup", "went well")
