import json

import pytest

from ispbench.cli.main import dispatch
from ispbench.errors import UserError
from ispbench.files import write_atomically
from ispbench.results.leaderboard import COLUMNS, leaderboard, print_tables
from ispbench.results.record import Record, load_records
from tests.conftest import REPOSITORY


def make(identity, **fields):
    defaults = {
        "model": "metaisp",
        "variant": "",
        "dataset": "mini",
        "protocol": "mini-v1/original-gt",
        "seed": 0,
        "config": {"model": {"width": 8}},
        "status": "finished",
        "metrics": {"psnr": 20.0, "ssim": 0.5, "lpips": None},
        "date": f"2026-01-01T00:00:{identity[-1]}0+00:00",
    }
    return Record(id=identity, **{**defaults, **fields})


def test_a_record_comes_back(tmp_path):
    make("run-1", training={"steps": 3}).save(tmp_path)
    (record,) = load_records(tmp_path)
    assert record["training"] == {"steps": 3}
    assert record["config_hash"] == make("other-2").config_hash
    assert record["versions"]["torch"]
    assert record["kind"] == "measured"
    assert [path.name for path in tmp_path.iterdir()] == ["run-1.json"]


def test_nan_becomes_an_empty_cell(tmp_path):
    path = make("run-1", metrics={"psnr": float("nan"), "ssim": float("inf")}).save(tmp_path)
    content = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert content["metrics"] == {"psnr": None, "ssim": None}


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    write_atomically(path, "old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(UserError, match="No space left on device"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.json"]


def test_a_broken_record_is_named(tmp_path):
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(UserError, match=r"broken\.json is not a readable run record"):
        load_records(tmp_path)


def test_rows_are_sorted_within_their_protocol(tmp_path):
    make("run-1", metrics={"psnr": 20.0}).save(tmp_path)
    make("run-2", metrics={"psnr": 22.0}).save(tmp_path)
    make("run-3", metrics={"psnr": 30.0}, protocol="zrr-v1/original-gt").save(tmp_path)
    make("run-4", status="failed", metrics={}).save(tmp_path)
    make("run-5", status="interrupted", metrics={}).save(tmp_path)
    table = leaderboard(tmp_path)
    assert list(table["id"]) == ["run-2", "run-1", "run-3"]
    assert list(table.columns) == list(COLUMNS)


def test_protocols_are_never_mixed_in_a_table(tmp_path, capsys):
    make("run-1").save(tmp_path)
    make("run-2", protocol="zrr-v1/original-gt", simulated=False).save(tmp_path)
    make("run-3", rules="9.9").save(tmp_path)
    print_tables(leaderboard(tmp_path))
    printed = capsys.readouterr().out
    assert printed.count("PSNR") == 3
    for title in ("mini-v1/original-gt", "zrr-v1/original-gt", "rules 9.9"):
        assert title in printed


def test_the_csv_is_written_and_checked(tmp_path, capsys):
    make("run-1", simulated=True).save(tmp_path / "runs")
    with pytest.raises(UserError, match="out of date"):
        dispatch(["leaderboard", "--results", str(tmp_path), "--check"])
    dispatch(["leaderboard", "--results", str(tmp_path)])
    dispatch(["leaderboard", "--results", str(tmp_path), "--check"])
    assert "simulated sensor" in capsys.readouterr().out
    make("run-2").save(tmp_path / "runs")
    with pytest.raises(UserError, match="out of date"):
        dispatch(["leaderboard", "--results", str(tmp_path), "--check"])


def test_an_empty_folder_says_how_to_start(tmp_path, capsys):
    dispatch(["leaderboard", "--results", str(tmp_path)])
    assert "python -m ispbench model=metaisp data=mini" in capsys.readouterr().out


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match="no folder"):
        dispatch(["leaderboard", "--results", str(tmp_path / "none")])


def test_every_column_of_the_leaderboard_is_explained():
    explained = (REPOSITORY / "results" / "README.md").read_text()
    assert not [column for column in COLUMNS if f"`{column}`" not in explained]
