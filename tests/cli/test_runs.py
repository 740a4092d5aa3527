import pytest

from ispbench.cli.main import dispatch
from ispbench.config import compose
from ispbench.errors import UserError
from ispbench.results.claims import claim
from ispbench.results.lookup import STATES
from tests.results.runs import save_run


def save(folder, key, **fields):
    defaults = {
        "config": {"model": {"width": 8}, "optimizer": {"lr": 1e-4}},
        "training": {"steps": 400, "wall_time_s": 3725.4, "val_psnr": 21.5},
        "date": f"2026-01-01T00:00:{key[-1]}0+00:00",
    }
    return save_run(folder / "results", key, **{**defaults, **fields})


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir(parents=True)
    return tmp_path


def printed(capsys, *arguments):
    dispatch(["runs", *arguments])
    return capsys.readouterr().out


def lines(capsys, *arguments):
    """The list's rows by the key in front."""
    rows = [line.split() for line in printed(capsys, *arguments).splitlines()]
    return {row[0]: " ".join(row[1:]) for row in rows if row and row[0].startswith("run") and row[0] != "run"}


def test_runs_are_listed_newest_first(place, capsys):
    save(place, "run1", variant="width=8", seed=7)
    save(place, "run2", metrics={}, status="interrupted", training={"steps": 200, "val_psnr": 18.0})
    rows = lines(capsys)
    assert list(rows) == ["run2", "run1"]
    assert rows["run1"] == "finished metaisp width=8 mini-v1/original-gt 7 400 20.00 1:02:05"
    assert rows["run2"] == "interrupted metaisp 0 200 18.00 val -"


def test_a_failed_run_says_why(place, capsys):
    save(place, "run1", status="failed", metrics={}, error="There is no [such] file.\nmore")
    assert "run1 failed: There is no [such] file.\n" in printed(capsys)


def test_a_run_whose_process_is_gone_was_killed(place, capsys):
    save(place, "run1", status="running", metrics={}, training={})
    save(place, "run2", status="running", metrics={}, training={})
    with claim(place / "outputs", "run2"):
        rows = lines(capsys)
    assert {name: row.split()[0] for name, row in rows.items()} == {"run1": "killed", "run2": "running"}


def test_long_names_leave_every_column_readable(place, capsys):
    long = "num_bases=4 placement=bottleneck_only resampling=strided"
    save(place, "0123456789abcdef", variant=long, protocol="mini-rhid-fitted/aligned-gt-output-dis-zeroed")
    row = next(line.split() for line in printed(capsys).splitlines() if "0123456789abcdef" in line)
    assert row[:3] == ["0123456789abcdef", "finished", "metaisp"]
    assert row[-4:] == ["0", "400", "20.00", "1:02:05"]


def test_the_list_can_be_narrowed(place, capsys):
    save(place, "run1", status="failed", error="x")
    save(place, "run2", model="awnet_raw")
    save(place, "run3", status="running", metrics={})
    assert list(lines(capsys, "--status", "failed")) == ["run1"]
    with claim(place / "outputs", "run3"):
        assert list(lines(capsys, "--status", "running")) == ["run3"]
    assert list(lines(capsys, "--model", "awnet*")) == ["run2"]
    assert list(lines(capsys, "status=killed")) == ["run3"]
    assert "No such runs" in printed(capsys, "--status", "interrupted")


def test_an_unknown_state_names_the_valid_ones(place):
    with pytest.raises(UserError) as error:
        dispatch(["runs", "--status", "done"])
    assert all(state in str(error.value) for state in STATES)


def test_show_says_what_is_not_the_default(place, capsys):
    config = compose(["model=metaisp", "data=mini", "model.num_bases=4", "optimizer.lr=0.5"])
    recipe = {"model": dict(config.model), "optimizer": dict(config.optimizer), "seed": 0}
    save(place, "run1", config=recipe)
    shown = [line.split() for line in printed(capsys, "show", "run").splitlines()]
    assert ["model.num_bases", "6", "4"] in shown
    assert any(row[:1] == ["optimizer.lr"] and row[-1] == "0.5" for row in shown)
    assert ["psnr", "20"] in shown
    assert not any(row and row[0] in ("model.width", "optimizer.weight_decay", "data.root") for row in shown)


def test_show_of_a_default_run(place, capsys):
    save(place, "run1", config={"seed": 0})
    assert "is the default" in printed(capsys, "show", "run1")


def test_show_of_a_model_that_is_gone_prints_the_configuration(place, capsys):
    save(place, "run1", model="forgotten", status="failed", error="It [broke].")
    shown = printed(capsys, "show", "run1")
    assert "optimizer.lr" in shown
    assert "It [broke]." in shown


def test_show_of_two_says_what_differs(place, capsys):
    save(place, "run1", data={"fingerprint": "a"})
    config = {"model": {"width": 16}, "optimizer": {"lr": 1e-4}}
    save(place, "run2", config=config, metrics={"psnr": 21.5, "ms_ssim": 0.9}, data={"fingerprint": "a"})
    shown = [line.split() for line in printed(capsys, "show", "run1", "run2").splitlines()]
    assert ["model.width", "8", "16"] in shown
    assert ["psnr", "20", "21.5", "+1.5"] in shown
    assert ["ms_ssim", "-", "0.9"] in shown
    assert not any(row and row[0] in ("optimizer.lr", "steps", "run.data") for row in shown)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["show", "run9"], "No run has 'run9' in its id. Did you mean 'run"),
        (["show", "run"], "is a part of 3 ids"),
        (["show", "run1", "run2", "run3"], "one or two ids, not 3"),
        (["--results", "none"], "no folder none"),
    ],
)
def test_a_mistake_is_one_sentence(place, arguments, message):
    for identity in ("run1", "run2", "run3"):
        save(place, identity)
    with pytest.raises(UserError) as error:
        dispatch(["runs", *arguments])
    assert message in str(error.value)
