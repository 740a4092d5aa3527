"""Sweep files that make no sense, and grids of which cells fail."""

import random
from pathlib import Path

import pytest
import yaml

from ispbench.cli.main import dispatch
from ispbench.errors import UserError
from ispbench.sweep.files import load, parse
from ispbench.sweep.parameters import DISTRIBUTIONS
from tests.cli.test_sweep import COMMAND, written
from tests.conftest import TINY_RUN
from tests.faults.harness import count

FINE = {"method": "random", "command": COMMAND, "parameters": {"seed": {"value": 0}}}
ODD = [None, True, -1, 0, 0.5, 1e308, -1e308, 10**400, float("nan"), float("inf"), "", "5", [], {}, [1], ["a", None]]

OPTIONS = [["value"], ["values"], ["values", "probabilities"], ["min", "max"], ["mu", "sigma"], ["min", "max", "q"]]


@pytest.mark.parametrize("command", [5, 5.0, True, "python -m ispbench", {"a": "ispbench"}, [5], []])
def test_a_command_that_is_none(attempt, command):
    attempt.refused("a command that is none", lambda: parse("x", FINE | {"command": command}), "does not run ispbench")


@pytest.mark.parametrize(
    "options",
    [
        {"distribution": "log_uniform", "min": 0, "max": 1000},
        {"distribution": "inv_log_uniform", "min": -1000, "max": 1},
        {"distribution": "q_log_uniform", "min": 0, "max": 1e6},
        {"distribution": "log_normal", "mu": 1000},
        {"distribution": "uniform", "min": -1e308, "max": 1e308},
        {"distribution": "q_uniform", "min": 0, "max": 1e300, "q": 1e-300},
        {"distribution": "normal", "mu": 1e308, "sigma": 1e308},
        {"distribution": "uniform", "min": 0, "max": 10**400},
    ],
)
def test_numbers_that_are_too_large(attempt, options):
    attempt.refused("numbers too large", lambda: parse("x", FINE | {"parameters": {"optimizer.lr": options}}), "lr")


def test_random_sweep_files(attempt, tmp_path):
    draw = random.Random(0)
    path = tmp_path / "x.yml"

    def read():
        sweep = load(str(path))
        return [parameter.at(quantile) for parameter in sweep.parameters for quantile in (0, 0.3, 1)]

    for _ in range(count(600, 60)):
        options = {name: draw.choice(ODD) for name in draw.choice(OPTIONS)}
        if draw.random() < 0.7:
            options["distribution"] = draw.choice(DISTRIBUTIONS)
        content = FINE | {"parameters": {"optimizer.lr": options}}
        if draw.random() < 0.3:
            content |= {draw.choice(["method", "command", "metric", "run_cap", "parameters"]): draw.choice(ODD)}
        path.write_text(yaml.safe_dump(content))
        attempt.survived("random sweep files", read)


def test_bytes_that_are_no_sweep_file(attempt, tmp_path):
    path = tmp_path / "x.yml"
    for content in (b"\xff\xfe", b"a: [", b"&a [*a]", b"\x00", b"- " * 5, b"{}", b"!!python/object:os.system {}"):
        path.write_bytes(content)
        attempt.refused("bytes that are no sweep file", lambda: load(str(path)))


def test_a_grid_with_failed_cells_ends_with_its_table(attempt, tmp_path, monkeypatch, capfd):
    def run(config):
        if config.model.width == 16:
            raise UserError("The training diverged.")
        return float(config.model.width)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ispbench.training.experiment.run", run)
    path = written(tmp_path, "grid", {"model.width": {"values": [8, 16, 24]}})
    with pytest.raises(UserError, match="1 of 3 runs failed, as told above"):
        dispatch(["sweep", path, *TINY_RUN])
    out, err = capfd.readouterr()
    rows = [line.split() for line in out.splitlines()]
    assert [row for row in rows if row and row[0] in ("8", "16", "24")] == [
        ["24", "24.000"],
        ["8", "8.000"],
        ["16", "failed"],
    ]
    assert "ispbench: Cell #1 of the grid failed: The training diverged." in err
    assert "Error executing job" not in out + err
    attempt.note("a grid with a failed cell", "a table and a sentence")


def test_a_run_stays_where_paths_are_relative_to(attempt, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    places = []
    monkeypatch.setattr("ispbench.training.experiment.run", lambda config: places.append(Path.cwd()))
    dispatch(["model=lan", "hydra.job.chdir=true", *TINY_RUN])
    assert places == [tmp_path]
    assert "hydra.job.chdir=true is not followed" in capfd.readouterr().err
    attempt.note("hydra.job.chdir=true", "a sentence")
