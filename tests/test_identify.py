"""Weights tell their model: what a checkpoint says of itself, or what its tensors tell."""

import pytest
import torch

import ispbench
from ispbench.checkpoints import ABOUT, identify, read_state_dict
from ispbench.cli.main import dispatch
from ispbench.errors import UserError
from ispbench.models.build import build_model
from ispbench.models.recognize import Recognition
from ispbench.results import store
from tests.conftest import TINY_DATA, TINY_METAISP

TINY = {"width": 8, "num_bases": 2, "basis_dim": 8}


def save_own(path, model, about=None):
    """As a training saves it."""
    state = {f"model.net.{name}": value for name, value in model.net.state_dict().items()}
    state["loss.learners.gan.weight"] = torch.zeros(1)
    torch.save({"state_dict": state, **({ABOUT: about} if about else {})}, path)
    return path


def test_a_checkpoint_of_ours_says_what_it_is(tmp_path):
    model = build_model("metaisp", [*TINY_METAISP[1:], "model.weighting=linear"])
    path = save_own(tmp_path / "own.ckpt", model, {"model": "metaisp", "options": {**TINY, "weighting": "linear"}})
    assert identify(path) == identify(path, "metaisp") == Recognition("metaisp", {**TINY, "weighting": "linear"})
    again = ispbench.create_model(weights=path)
    raw = torch.rand(1, 4, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(again(raw), model.eval()(raw), rtol=0, atol=0)


def test_one_that_says_nothing_is_told_by_its_tensors(tmp_path, capsys):
    model = build_model("metaisp", TINY_METAISP[1:]).eval()
    path = save_own(tmp_path / "own.ckpt", model)
    again = ispbench.create_model(weights=path)
    assert "does not say model.weighting, model.input_gamma, " in (capsys.readouterr().err)
    assert not again.training
    raw = torch.rand(1, 4, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(again(raw), model(raw), rtol=0, atol=0)


@pytest.mark.parametrize("name", ["liteispnet", "metaisp_rhid", "syenet"])
def test_authors_files_and_named_models_bring_their_options(name, tmp_path, capsys):
    options = {
        "liteispnet": ["model.width=16", "model.blocks=1"],
        "metaisp_rhid": ["model.width=8"],
        "syenet": ["model.deploy=true"],
    }[name]
    state = build_model(name, options).net.state_dict()
    torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}}, tmp_path / "x.pth")
    for model in (
        ispbench.create_model(weights=tmp_path / "x.pth"),
        ispbench.create_model(name, weights=tmp_path / "x.pth"),
    ):
        assert all(torch.equal(value, state[key]) for key, value in model.net.state_dict().items())
    assert not capsys.readouterr().err


def test_what_fits_nothing_is_one_sentence(tmp_path):
    torch.save({"conv1.weight": torch.zeros(9, 4, 3, 3), "conv2.bias": torch.zeros(12)}, tmp_path / "x.pth")
    with pytest.raises(UserError, match=r"x\.pth is of no model here; the nearest is efficient_isp, which has 17%"):
        ispbench.create_model(weights=tmp_path / "x.pth")
    with pytest.raises(UserError, match="not a checkpoint of this csanet"):
        ispbench.create_model("csanet", weights=tmp_path / "x.pth")
    with pytest.raises(UserError, match="Say which model it is"):
        ispbench.create_model()


def test_options_that_contradict_the_weights_are_refused(tmp_path):
    torch.save(build_model("csanet", ["model.channels=8"]).net.state_dict(), tmp_path / "x.pth")
    with pytest.raises(UserError, match=r"is a checkpoint of csanet with model\.channels=8; build the model so"):
        ispbench.create_model(weights=tmp_path / "x.pth", channels=16)


@pytest.mark.shared
def test_released_files_need_no_name(shared):
    for network in ("efficient_isp", "robust_isp", "rmfa_tiny", "mobileie"):
        for path in sorted((shared / "weights" / "official" / network).iterdir()):
            model = ispbench.create_model(weights=path)
            state = read_state_dict(path)
            assert type(model) is type(build_model(network))
            assert all(torch.equal(value, state[key]) for key, value in model.net.state_dict().items())


@pytest.mark.parametrize("typed", [[], ["model=csanet"]])
def test_evaluate_needs_no_name(typed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(build_model("csanet", ["model.channels=8"]).net.state_dict(), tmp_path / "x.pth")
    fast = ["metrics.scores=[psnr]", "metrics.latency=null", "eval.limit=1", "trainer=cpu", *TINY_DATA]
    dispatch(["evaluate", f"weights={tmp_path / 'x.pth'}", *typed, *fast])
    [record] = store.load(tmp_path / "results")
    assert record["model"] == "csanet"
    assert record["complexity"]["params"] == sum(
        value.numel() for value in build_model("csanet", ["model.channels=8"]).net.parameters()
    )


def test_evaluate_of_what_fits_nothing_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"conv1.weight": torch.zeros(9, 4, 3, 3)}, tmp_path / "x.pth")
    with pytest.raises(UserError, match=r"x\.pth is of no model here"):
        dispatch(["evaluate", f"weights={tmp_path / 'x.pth'}", *TINY_DATA])
