"""A grid that was really trained, from its records to what is said of them."""

import json
import os

import pytest
from PIL import Image

from ispbench.cli.main import dispatch
from ispbench.cli.train import train
from ispbench.errors import UserError
from ispbench.results.leaderboard import leaderboard
from ispbench.results.reproduction import command_of, find_row, judge, repeat
from tests.conftest import REPOSITORY, TINY_DATA

GRID = ["-m", "model=metaisp,classical", "seed=0,1", *TINY_DATA, "trainer=cpu", "trainer.max_steps=2", "logger=none"]
GRID += ["callbacks=none", "metrics.latency=null", "metrics.complexity=null", "metrics.scores=[psnr,ssim]"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the grid ran. Its records say that the checkout was clean, which that of a developer seldom is."""
    folder, before = tmp_path_factory.mktemp("grid"), os.getcwd()
    os.chdir(folder)
    try:
        train(GRID)
    finally:
        os.chdir(before)
    for path in (folder / "results").rglob("*.json"):
        record = json.loads(path.read_text())
        record["git"] = {"commit": "0" * 40, "dirty": False}
        path.write_text(json.dumps(record))
    return folder


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def test_seeds_are_one_row(here):
    board = leaderboard(here / "results")
    assert sorted(zip(board["model"], board["seeds"], strict=True)) == [("classical", 2), ("metaisp", 2)]
    assert set(board["budget"]) == {"no training", "2 steps of 2 crops of 32x32"}
    assert set(board["track"]) == {"one-camera"}


def test_the_difference_to_another_model_is_found_and_drawn(here, capsys):
    dispatch(["compare", "metaisp", "classical"])
    out, err = capsys.readouterr()
    assert "classical is better" in out
    assert "9 images of 3 photographs" in out
    assert "metaisp" not in err, "its checkpoints are there"
    width, height = Image.open(here / "outputs" / "comparisons" / "metaisp-classical.png").size
    assert width > 600
    assert height > 1500, "six images"


def test_no_difference_between_two_seeds_is_found(here, capsys):
    dispatch(["compare", "metaisp-mini-s0", "metaisp-mini-s1"])
    assert "no difference found" in capsys.readouterr().out


def test_weights_that_are_evaluated_again_make_a_row_checked(here, capsys):
    for seed in (0, 1):
        name = f"metaisp-mini-s{seed}-original"
        (run,) = here.glob(f"outputs/*/*metaisp-mini-s{seed}")
        dispatch(["check", name, f"weights={run}", "again=true"])
    out = capsys.readouterr().out
    assert out.count("wrote results/verifications/") == 2
    assert "not at hand" not in out
    tiers = leaderboard(here / "results").set_index("model")["tier"]
    assert dict(tiers) == {"metaisp": "checked", "classical": "self-reported"}
    with pytest.raises(UserError, match=r"another evaluation than .*eval\.precision"):
        dispatch(["check", name, f"weights={run}", "again=true", "eval.precision=bf16-mixed"])
    (path,) = (here / "results" / "evaluations").glob(f"{name}*.json")
    other = next(here.glob("outputs/*/*metaisp-mini-s0"))
    with pytest.raises(UserError, match="cannot be accepted"):
        dispatch(["check", str(path), f"weights={other}"])
    assert f"weights: the hash of {other} is not" in capsys.readouterr().out


def test_the_recorded_command_makes_the_same_again(here, tmp_path):
    row, record, ranking = find_row(here / "results", "metaisp-mini-s1", "psnr")
    command = command_of(record, [])
    assert {"model=metaisp", "seed=1", "data=mini"} <= set(command)
    again = repeat(REPOSITORY, command, tmp_path)
    outcome = judge(row, record, again, ranking, "psnr")
    assert outcome.reproduced
    assert outcome.sentence("psnr").endswith(": the same.")
