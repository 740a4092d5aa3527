import pytest
from filelock import FileLock

from ispbench.cli.main import dispatch
from ispbench.config import compose
from ispbench.errors import UserError
from ispbench.results.lookup import STATES
from ispbench.results.record import Record


def save(folder, identity, **fields):
    defaults = {
        "model": "metaisp",
        "variant": "",
        "dataset": "mini",
        "protocol": "mini-v1/original-gt",
        "seed": 0,
        "config": {"model": {"width": 8}, "optimizer": {"lr": 1e-4}},
        "status": "finished",
        "metrics": {"psnr": 20.0, "ssim": 0.5},
        "training": {"steps": 400, "wall_time_s": 3725.4, "val_psnr": 21.5},
        "date": f"2026-01-01T00:00:{identity[-1]}0+00:00",
    }
    Record(id=identity, **{**defaults, **fields}).save(folder / "results" / "runs")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results" / "runs").mkdir(parents=True)
    return tmp_path


def printed(capsys, *arguments):
    dispatch(["runs", *arguments])
    return capsys.readouterr().out


def lines(capsys, *arguments):
    """The list's rows by the id in front."""
    rows = [line.split() for line in printed(capsys, *arguments).splitlines()]
    return {row[0]: " ".join(row[1:]) for row in rows if row and row[0].startswith("run-")}


def test_runs_are_listed_newest_first(place, capsys):
    save(place, "run-1", variant="width=8", seed=7)
    save(place, "run-2", metrics={}, status="interrupted", training={"steps": 200, "val_psnr": 18.0})
    rows = lines(capsys)
    assert list(rows) == ["run-2", "run-1"]
    assert rows["run-1"] == "finished metaisp width=8 mini-v1/original-gt 7 400 20.00 1:02:05"
    assert rows["run-2"] == "interrupted metaisp mini-v1/original-gt 0 200 18.00 val -"


def test_a_failed_run_says_why(place, capsys):
    save(place, "run-1", status="failed", metrics={}, error="There is no [such] file.\nmore")
    assert "run-1 failed: There is no [such] file.\n" in printed(capsys)


def test_a_run_whose_process_is_gone_was_killed(place, capsys):
    save(place, "run-1", status="running", cell="aaaa", metrics={}, training={})
    save(place, "run-2", status="running", cell="bbbb", metrics={}, training={})
    save(place, "run-3", status="running", metrics={}, training={})
    lock = place / "outputs" / "cells" / "bbbb.lock"
    lock.parent.mkdir(parents=True)
    with FileLock(lock):
        rows = lines(capsys)
    assert {name: row.split()[0] for name, row in rows.items()} == {
        "run-1": "killed",
        "run-2": "running",
        "run-3": "running?",
    }


def test_long_names_leave_every_column_readable(place, capsys):
    identity = "20260101-000000-123456-awnet_demosaic-folder-s1"
    long = "num_bases=4 placement=bottleneck_only resampling=strided"
    save(place, identity, variant=long, protocol="mini-rhid-fitted/aligned-gt-output-dis-zeroed")
    row = next(line.split() for line in printed(capsys).splitlines() if identity in line)
    assert row[:2] == [identity, "finished"]
    assert row[-4:] == ["0", "400", "20.00", "1:02:05"]
    assert "metaisp" in row


def test_the_list_can_be_narrowed(place, capsys):
    save(place, "run-1", status="failed", error="x")
    save(place, "run-2", model="awnet_raw")
    save(place, "run-3", status="running", metrics={})
    assert list(lines(capsys, "--status", "failed")) == ["run-1"]
    assert list(lines(capsys, "--status", "running")) == ["run-3"]
    assert list(lines(capsys, "--model", "awnet*")) == ["run-2"]
    assert "No such runs" in printed(capsys, "--status", "killed")


def test_an_unknown_state_names_the_valid_ones(place):
    with pytest.raises(UserError) as error:
        dispatch(["runs", "--status", "done"])
    assert all(state in str(error.value) for state in STATES)


def test_show_says_what_is_not_the_default(place, capsys):
    config = compose(["model=metaisp", "data=mini", "model.num_bases=4", "callbacks.ema.decay=0.9"])
    recipe = {"model": dict(config.model), "optimizer": dict(config.optimizer), "seed": 0}
    save(place, "run-1", config=recipe | {"ema": dict(config.callbacks.ema)})
    shown = [line.split() for line in printed(capsys, "show", "run").splitlines()]
    assert ["model.num_bases", "8", "4"] in shown
    assert ["ema.decay", "0.999", "0.9"] in shown
    assert ["psnr", "20"] in shown
    assert not any(row and row[0] in ("model.width", "optimizer.lr", "data.root") for row in shown)


def test_show_of_a_default_run(place, capsys):
    save(place, "run-1", config={"seed": 0})
    assert "is the default" in printed(capsys, "show", "run-1")


def test_show_of_a_model_that_is_gone_prints_the_configuration(place, capsys):
    save(place, "run-1", model="forgotten", status="failed", error="It [broke].")
    shown = printed(capsys, "show", "run-1")
    assert "optimizer.lr" in shown
    assert "It [broke]." in shown


def test_show_of_two_says_what_differs(place, capsys):
    save(place, "run-1", data={"fingerprint": "a"})
    config = {"model": {"width": 16}, "optimizer": {"lr": 1e-4}}
    save(place, "run-2", config=config, metrics={"psnr": 21.5, "ms_ssim": 0.9}, data={"fingerprint": "a"})
    shown = [line.split() for line in printed(capsys, "show", "run-1", "run-2").splitlines()]
    assert ["model.width", "8", "16"] in shown
    assert ["psnr", "20", "21.5", "+1.5"] in shown
    assert ["ms_ssim", "-", "0.9"] in shown
    assert not any(row and row[0] in ("optimizer.lr", "steps", "run.data") for row in shown)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["show", "run-9"], "No run has 'run-9' in its id. Did you mean 'run-"),
        (["show", "run"], "is a part of 3 ids"),
        (["show", "run-1", "run-2", "run-3"], "one or two ids, not 3"),
        (["--results", "none"], "no folder none"),
    ],
)
def test_a_mistake_is_one_sentence(place, arguments, message):
    for identity in ("run-1", "run-2", "run-3"):
        save(place, identity)
    with pytest.raises(UserError) as error:
        dispatch(["runs", *arguments])
    assert message in str(error.value)
