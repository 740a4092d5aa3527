import json

import pytest
import torch

import ispbench
from ispbench import pretrained
from ispbench.checkpoints import describe
from ispbench.cli.main import dispatch
from ispbench.errors import UserError
from tests.conftest import REPOSITORY

LARGEST = 10e6  # bytes, so that a wheel stays small


@pytest.mark.parametrize("model, name", ispbench.list_weights())
def test_shipped_weights_are_those_of_a_recorded_training(model, name):
    path = pretrained.find(name, model)
    assert path.stat().st_size < LARGEST
    about = describe(path)
    (record,) = (REPOSITORY / "results" / "trainings").glob(f"*-{about['training']}.json")
    training = json.loads(record.read_text())
    assert (training["model"], training["status"]) == (model, "finished")
    assert training["config"]["data"]["version"] == name.replace("/", "-")
    network = ispbench.create_model(model, weights=name)
    assert not network.training
    image = network(torch.rand(1, 4, 16, 16))
    assert image.shape == (1, 3, 32, 32)
    assert image.isfinite().all()


def test_both_tracks_of_the_league_have_weights():
    names = {name for _, name in ispbench.list_weights("metaisp")}
    assert {"photos-v1/one-camera", "photos-v1/many-cameras"} <= names
    assert ispbench.list_weights("lan") == []


def test_a_name_alone_tells_the_model_if_it_is_one(tmp_path, monkeypatch):
    for model in ("lan", "metaisp"):
        (tmp_path / model / "photos-v1").mkdir(parents=True)
        (tmp_path / model / "photos-v1" / "night.ckpt").touch()
    (tmp_path / "lan" / "photos-v1" / "dawn.ckpt").touch()
    monkeypatch.setattr(pretrained, "_FOLDER", tmp_path)
    assert pretrained.find("photos-v1/dawn") == tmp_path / "lan" / "photos-v1" / "dawn.ckpt"
    assert pretrained.find("photos-v1/night", "metaisp") == tmp_path / "metaisp" / "photos-v1" / "night.ckpt"
    assert pretrained.find("photos-v1/dawn", "metaisp") is None
    with pytest.raises(UserError, match=r"weights=photos-v1/night are those of lan, metaisp; say which: model=NAME"):
        pretrained.find("photos-v1/night")


def test_an_unknown_name_is_told_the_known_ones():
    with pytest.raises(UserError, match=r"no checkpoint file photos-v1/night.*photos-v1/one-camera"):
        ispbench.create_model("metaisp", weights="photos-v1/night")


def test_a_file_of_that_name_comes_first(tmp_path, monkeypatch):
    (tmp_path / "photos-v1").mkdir()
    (tmp_path / "photos-v1" / "one-camera").write_text("mine")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"photos-v1/one-camera is not a readable checkpoint"):
        ispbench.create_model("metaisp", weights="photos-v1/one-camera")


def test_shipped_weights_are_evaluated(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ["data=mini", "metrics.scores=[psnr]", "metrics.latency=null", "metrics.dynamic=false", "eval.limit=1"]
    dispatch(["evaluate", "weights=photos-v1/one-camera", *options])
    (record,) = (tmp_path / "results" / "evaluations").glob("*.json")
    assert json.loads(record.read_text())["metrics"]["psnr"] > 20
