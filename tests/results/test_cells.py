import json
import subprocess
import sys

import pytest

from ispbench.errors import UserError
from ispbench.results.cells import Cell, in_use, key
from ispbench.results.record import Record

KEY = key("0123", "abcd")


@pytest.fixture
def cell(tmp_path):
    return Cell(tmp_path / "outputs", tmp_path / "results" / "runs", KEY)


def write(cell, id, status, date="2026-01-01T00:00:00+00:00", cell_key=KEY):
    record = Record(id, "m", "", "d", "p", 0, {}, status=status, cell=cell_key, date=date)
    record.save(cell.results)
    (cell.results / f"{id}.scores.csv").write_text("image,psnr\n")


def test_a_cell_is_configuration_and_data():
    assert len({key("a", "b"), key("a", "c"), key("b", "b")}) == 3
    assert key("a", "b") == key("a", "b")


@pytest.mark.parametrize(
    "overwrite, status, done",
    [
        ("only-missing", "finished", True),
        ("only-missing", "failed", False),
        ("only-missing", "interrupted", False),
        ("only-missing", "running", False),
        ("never", "finished", True),
        ("never", "failed", True),
        ("never", "interrupted", True),
        ("never", "running", False),
        ("always", "finished", False),
    ],
)
def test_what_needs_no_further_run(cell, overwrite, status, done):
    assert cell.done(overwrite) is None
    write(cell, "other", "finished", cell_key=key("other", "data"))
    write(cell, "one", status)
    found = cell.done(overwrite)
    assert (found is not None) == done
    assert found is None or found["id"] == "one"


def test_an_unknown_word_names_the_valid_ones(cell):
    with pytest.raises(UserError, match="only-missing, never, always"):
        cell.done("sometimes")


def test_where_it_broke_off_is_remembered_until_it_finished(cell, tmp_path):
    assert cell.unfinished() is None
    cell.begin("one", tmp_path / "folder")
    assert cell.unfinished() == ("one", tmp_path / "folder")
    write(cell, "older", "failed")
    write(cell, "one", "finished")
    cell.finish("one")
    assert cell.unfinished() is None
    assert sorted(path.name for path in cell.results.iterdir()) == ["one.json", "one.scores.csv"]


def test_a_broken_note_counts_as_none(cell, tmp_path):
    cell.begin("one", tmp_path)
    next((tmp_path / "outputs" / "cells").glob("*.json")).write_text('{"id":')
    assert cell.unfinished() is None


def test_one_process_holds_a_cell_and_a_killed_one_does_not(cell, tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from ispbench.results.cells import Cell\n"
        f"with Cell(Path({str(tmp_path / 'outputs')!r}), Path('.'), {KEY!r}).claim() as free:\n"
        "    print(free, flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline().strip() == "True"
        assert in_use(tmp_path / "outputs", KEY)
        with cell.claim() as free:
            assert not free
    finally:
        process.kill()
        process.communicate()
    assert not in_use(tmp_path / "outputs", KEY)
    with cell.claim() as free:
        assert free
        assert in_use(tmp_path / "outputs", KEY)
    assert not in_use(tmp_path / "outputs", KEY)


def test_a_place_that_cannot_be_written_to_is_one_sentence(tmp_path):
    (tmp_path / "outputs").write_text("a file")
    with pytest.raises(UserError, match=r"set paths\.outputs"), Cell(tmp_path / "outputs", tmp_path, KEY).claim():
        pass


def test_the_record_names_its_cell(cell):
    write(cell, "one", "finished")
    assert json.loads((cell.results / "one.json").read_text())["cell"] == KEY
