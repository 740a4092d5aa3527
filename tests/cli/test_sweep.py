"""Sweep files on this machine."""

import sys

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from ispbench.cli import train as training
from ispbench.cli.main import dispatch
from ispbench.errors import UserError
from ispbench.results import store
from ispbench.sweep.files import METRIC, parse
from ispbench.sweep.parameters import DISTRIBUTIONS, hydra_value
from tests.cli.test_main import in_process
from tests.conftest import TINY_RUN

COMMAND = ["${env}", "${interpreter}", "-m", "ispbench", "model=metaisp", "${args_no_hyphens}"]
SMALL = ["model.basis_dim=8", *TINY_RUN, "test=false", "callbacks.images=null"]


def written(folder, method, parameters, **more):
    """A sweep file, and its path."""
    path = folder / "mine.sweep.yml"
    path.write_text(yaml.safe_dump({"method": method, "command": COMMAND, "parameters": parameters} | more))
    return str(path)


def values_at(options, *quantiles):
    sweep = parse("mine", {"method": "random", "command": COMMAND, "parameters": {"seed": options}})
    return [sweep.parameters[0].at(quantile) for quantile in quantiles]


def rows_of(printed):
    """The cells of a table whose first column is a number."""
    cells = [line.split() for line in printed.splitlines()]
    return [row for row in cells if row and row[0].isdigit()]


@pytest.fixture
def trained(monkeypatch):
    """The overrides of the runs that a sweep starts; a run's score is its width, and 666 fails."""
    runs = []

    def train(overrides):
        runs.append(list(overrides))
        if "model.width=666" in overrides:
            raise UserError("The training diverged.")
        return [float(item.split("=")[1]) for item in overrides if item.startswith("model.width=")]

    monkeypatch.setattr(training, "train", train)
    return runs


@pytest.mark.parametrize(
    "options, quantiles, expected",
    [
        ({"values": ["a", "b"]}, (0, 0.49, 0.51, 1), ["a", "a", "b", "b"]),
        ({"values": ["a", "b"], "probabilities": [0.9, 0.1]}, (0, 0.89, 0.91, 1), ["a", "a", "b", "b"]),
        ({"min": 1, "max": 4}, (0, 0.26, 1), [1, 2, 4]),
        ({"min": 0.0, "max": 4.0}, (0, 0.25, 1), [0, 1, 4]),
        ({"distribution": "q_uniform", "min": 0, "max": 32, "q": 8}, (0, 0.3, 1), [0, 8, 32]),
        ({"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.1}, (0.31,), [0.3]),
        ({"distribution": "log_uniform_values", "min": 0.001, "max": 0.1}, (0, 0.5, 1), [0.001, 0.01, 0.1]),
        ({"distribution": "inv_log_uniform_values", "min": 0.001, "max": 0.1}, (0, 0.5, 1), [0.001, 0.01, 0.1]),
        ({"distribution": "q_log_uniform_values", "min": 1, "max": 100, "q": 5}, (0.5, 1), [10, 100]),
        ({"distribution": "log_uniform", "min": 0, "max": 2}, (0, 0.5), [1, 2.71828]),
        ({"distribution": "inv_log_uniform", "min": 0, "max": 2}, (0.5, 1), [0.367879, 1]),
        ({"distribution": "q_log_uniform", "min": 0, "max": 2}, (0.5,), [3]),
        ({"distribution": "normal", "mu": 3, "sigma": 2}, (0.5, 0.841345), [3, 5]),
        ({"distribution": "log_normal"}, (0.5,), [1]),
        ({"distribution": "q_normal", "mu": 3.4}, (0.5,), [3]),
        ({"distribution": "q_log_normal", "q": 0.5}, (0.7,), [1.5]),
    ],
)
def test_a_distribution_has_the_values_that_wandb_gives_it(options, quantiles, expected):
    found = values_at(options, *quantiles)
    numbers = isinstance(expected[0], float | int)
    assert found == (pytest.approx(expected, rel=1e-5, abs=1e-8) if numbers else expected)
    if isinstance(options.get("q"), int):
        assert all(isinstance(value, int) for value in found)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_every_distribution_is_read(distribution):
    bell, step = "normal" in distribution, distribution.startswith("q_")
    options = {"mu": 1, "sigma": 1} if bell else {"min": 1, "max": 3}
    if distribution == "constant":
        options = {"value": 1}
    elif distribution.startswith("categorical"):
        options = {"values": [1]} | ({"probabilities": [1]} if distribution != "categorical" else {})
    options |= {"distribution": distribution} | ({"q": 2} if step else {})
    sweep = parse("mine", {"method": "random", "command": COMMAND, "parameters": {"seed": options}})
    assert sweep.parameters or sweep.fixed[-1] == "seed=1"


SCALARS = [1, -2, 0.1, 1e-05, 1e20, True, None]
STRINGS = ["dwt", "1", "1e-5", "true", "null", "", "a b", "a,b", "it's", "C:\\x\\", "x=1", "é"]
NESTED = [[1, "a,b", [None]], {"l1": 0.5, "ssim": [True, "a:b"]}, [], {}]


@pytest.mark.parametrize("value", [*SCALARS, *STRINGS, *NESTED])
def test_a_value_survives_hydras_command_line(value):
    (override,) = OverridesParser.create().parse_overrides([f"key={hydra_value(value)}"])
    assert not override.is_sweep_override()
    assert override.value() == value
    assert type(override.value()) is type(value)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"method": "hyperopt"}, "choose one of grid, random, bayes"),
        ({"parameters": {}}, "needs method and parameters"),
        ({"command": ["python", "train.py"]}, "does not run ispbench"),
        ({"metric": {"name": "val/loss", "goal": "minimize"}}, "write metric: {name: val/psnr, goal: maximize}"),
        ({"run_cap": 0}, "run_cap of mine is a number of runs"),
        ({"parameters": {"seed": 3}}, "seed: {value: ...}"),
        ({"parameters": {"seed": {}}}, "takes min, max; it was given nothing"),
        ({"parameters": {"seed": {"min": 1}}}, "takes min, max"),
        ({"parameters": {"seed": {"values": []}}}, "list of at least one value"),
        ({"parameters": {"seed": {"values": [1, 2], "probabilities": [1]}}}, "one number for each of its 2 values"),
        ({"parameters": {"seed": {"distribution": "beta"}}}, "choose one of constant, categorical"),
        ({"parameters": {"seed": {"parameters": {"a": {"value": 1}}}}}, "write their keys with dots"),
        ({"parameters": {"lr": {"min": "1e-5", "max": 1}}}, "write 0.0001"),
        ({"parameters": {"lr": {"min": 2, "max": 1}}}, "smaller than its max"),
        ({"parameters": {"lr": {"distribution": "log_uniform_values", "min": 0, "max": 1}}}, "larger than 0"),
        ({"parameters": {"lr": {"distribution": "normal", "sigma": 0}}}, "sigma of lr is to be larger than 0"),
        ({"method": "grid", "parameters": {"lr": {"min": 0.1, "max": 1}}}, "A grid needs the values of lr"),
    ],
)
def test_a_mistake_in_a_file_is_one_sentence(change, message):
    content = {"method": "random", "command": COMMAND, "parameters": {"seed": {"values": [1]}}}
    with pytest.raises(UserError) as error:
        parse("mine", content | change)
    assert message in str(error.value)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["base"], "Did you mean 'bases'?"),
        (["bases", "--counts", "2"], "Unknown argument"),
        (["bases", "width"], "Unknown argument 'width'"),
        (["bases", "--count", "2"], "--count is for random and bayes"),
        (["seed=1"], "Name a sweep file: one of bases, "),
        (["random", "model.widht=8"], "Did you mean 'width'?"),
        (["bayes", "model.widht=8"], "Did you mean 'width'?"),
    ],
)
def test_a_mistake_in_the_arguments_is_one_sentence(arguments, message, trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        dispatch(["sweep", *arguments])
    assert message in str(error.value)
    assert not trained


def test_the_shipped_files_are_listed(capsys):
    dispatch(["sweep"])
    alone = capsys.readouterr().out
    dispatch(["sweep", "--list"])
    assert capsys.readouterr().out == alone
    assert "bases       grid " in alone
    assert "bayes       bayes" in alone


def test_a_grid_is_one_multirun(trained, monkeypatch, capsys):
    monkeypatch.setattr(training, "train", lambda overrides: trained.append(overrides) or [20.0, 30.0, 10.0, None])
    dispatch(["sweep", "bases", "model.num_bases=4,8", "seed=0,1", "launcher=joblib"])
    assert trained == [["-m", "model=metaisp", "model.num_bases=4,8", "seed=0,1", "launcher=joblib"]]
    rows = rows_of(capsys.readouterr().out)
    assert rows == [["4", "1", "30.000"], ["4", "0", "20.000"], ["8", "0", "10.000"], ["8", "1", "-"]]


def test_a_grid_in_other_processes_points_to_its_records(trained, capsys):
    dispatch(["sweep", "bases", "launcher=joblib"])
    assert len(trained) == 1
    assert "ispbench runs" in capsys.readouterr().out


def test_overrides_win_over_the_file(trained, tmp_path):
    path = written(tmp_path, "random", {"model.width": {"values": [8]}, "seed": {"value": 3}})
    dispatch(["sweep", path, "--count", "1", "seed=4", "model=metaisp_rhid"])
    dispatch(["sweep", path, "--count", "1", "model.width=16"])
    assert trained[0] == ["seed=4", "model=metaisp_rhid", "model.width=8"]
    assert trained[1] == ["model=metaisp", "seed=3", "model.width=16"]


def test_the_same_seed_gives_the_same_random_runs(trained):
    dispatch(["sweep", "random", "--count", "4"])
    first = trained.copy()
    dispatch(["sweep", "random", "--count", "2"])
    assert trained[4:] == first[:2]
    dispatch(["sweep", "random", "--count", "2", "--seed", "1"])
    assert trained[6:] != first[:2]
    assert len(set(map(tuple, first))) == 4


def test_a_dry_run_prints_commands_that_give_the_runs(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    dispatch(["sweep", "random", "--count", "2", "--dry-run"])
    printed = capsys.readouterr().out.splitlines()
    assert not trained
    dispatch(["sweep", "random", "--count", "2"])
    assert printed == [f"python -m ispbench {' '.join(overrides)}" for overrides in trained]
    dispatch(["sweep", "bases", "--dry-run"])
    assert "-m model=metaisp model.num_bases=1,3,6,12,24 seed=0,1,2" in capsys.readouterr().out
    dispatch(["sweep", "bayes", "--dry-run", "--count", "5"])
    assert "and 4 more" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_a_failed_run_is_told_and_the_rest_goes_on(method, trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path, method, {"model.width": {"values": [8, 666]}}, run_cap=6)
    with pytest.raises(UserError, match="of 6 runs failed"):
        dispatch(["sweep", path])
    told = capsys.readouterr()
    assert len(trained) == 6
    assert "failed: The training diverged." in told.err
    rows = rows_of(told.out)
    assert len(rows) == 6
    assert rows[0] == ["8", "8.000"]
    assert rows[-1] == ["666", "failed"]


def test_a_bayesian_search_finds_the_good_end(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dispatch(["sweep", written(tmp_path, "bayes", {"model.width": {"min": 1, "max": 1000}}), "--count", "30"])
    widths = [int(run[-1].split("=")[1]) for run in trained]
    assert sum(widths[20:]) > sum(widths[:10])


def test_a_stopped_bayesian_search_goes_on_as_if_it_had_not(trained, tmp_path, monkeypatch, capsys):
    (tmp_path / "whole").mkdir()
    monkeypatch.chdir(tmp_path / "whole")
    dispatch(["sweep", "bayes", "--count", "14"])
    whole = trained.copy()
    trained.clear()

    monkeypatch.chdir(tmp_path)
    dispatch(["sweep", "bayes", "--count", "4"])
    normal = training.train

    def stopped(overrides):
        trained.append(list(overrides))
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", stopped)
    with pytest.raises(KeyboardInterrupt):
        dispatch(["sweep", "bayes", "--count", "14"])
    monkeypatch.setattr(training, "train", normal)
    capsys.readouterr()
    dispatch(["sweep", "bayes", "--count", "14"])
    assert trained[4] == trained[5], "the stopped run is made again"
    assert trained[:4] + trained[5:] == whole
    assert (tmp_path / "outputs" / "sweeps" / "bayes.log").is_file()

    trained.clear()
    dispatch(["sweep", "bayes", "--count", "14"])
    assert not trained, "nothing is left to do"
    dispatch(["sweep", "bayes", "--count", "1", "data=zrr", "data.root=elsewhere"])
    assert len(trained) == 1, "on other data it is another search"


def test_a_bayesian_search_without_optuna_says_what_to_install(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r'pip install "ispbench\[sweeps\]"'):
        dispatch(["sweep", "bayes"])
    dispatch(["sweep", "random", "--count", "1"])


RATE = {"distribution": "log_uniform_values", "min": 1e-4, "max": 0.01}


@pytest.mark.parametrize(
    "method, parameters",
    [
        ("grid", {"model.num_bases": {"values": [1, 2]}, "model.width": {"value": 8}}),
        ("random", {"model.num_bases": {"values": [1, 2]}, "model.width": {"value": 8}, "optimizer.lr": RATE}),
        ("bayes", {"model.num_bases": {"values": [1, 2]}, "model.width": {"value": 8}, "optimizer.lr": RATE}),
    ],
)
def test_a_sweep_from_file_to_records(method, parameters, tmp_path, monkeypatch, capsys):
    path = written(tmp_path, method, parameters, run_cap=2)
    status, errors = in_process(tmp_path, monkeypatch, capsys, "sweep", path, *SMALL)
    assert not status, errors
    records = store.load(tmp_path / "results")
    assert [record["status"] for record in records] == ["finished", "finished"]
    assert len({record["config_hash"] for record in records}) == 2
    assert {record["model"] for record in records} == {"metaisp"}
    assert (tmp_path / "outputs" / "sweeps" / "mine.log").is_file() == (method == "bayes")
    curves = list((tmp_path / "outputs").glob("*/*/metrics.csv"))
    assert len(curves) == 2
    assert all(METRIC in path.read_text().splitlines()[0].split(",") for path in curves)
