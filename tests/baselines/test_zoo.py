"""What holds for every model of conf/model, without a line about any of them."""

import copy
import inspect
from pathlib import Path

import pytest
import torch

from ispbench.checkpoints import load_weights
from ispbench.config import choices, config_folder
from ispbench.errors import UserError
from ispbench.models.build import build_model
from ispbench.models.interface import ISPModel
from ispbench.raw.levels import BGRG_ORDER, add_black_level
from tests.conftest import REPOSITORY

NAMES = choices("model")


@pytest.fixture(scope="module", params=NAMES)
def named(request):
    """Each model once, in eval()."""
    torch.manual_seed(0)
    return request.param, build_model(request.param).eval()


def test_it_has_a_card_a_paper_and_a_commented_configuration(named):
    name, model = named
    folder = Path(inspect.getfile(type(model))).parent
    card = (folder if "metaisp" in folder.parts else REPOSITORY / "baselines" / folder.name) / "README.md"
    assert len(card.read_text()) > 500
    assert model.paper
    assert model.input_kind
    assert (config_folder() / "model" / f"{name}.yaml").read_text().startswith("# ")


@pytest.mark.parametrize("size", [(32, 32), (21, 35)])
def test_it_renders_any_size_the_same_every_time(named, size):
    _, model = named
    raw = torch.rand(1, 4, *size, generator=torch.Generator().manual_seed(1)) - 0.01
    with torch.no_grad():
        image, again = model(raw), model(raw)
    assert isinstance(model, ISPModel)
    assert image.shape == (1, 3, 2 * size[0], 2 * size[1])
    assert image.min() >= 0
    assert image.max() <= 1
    assert torch.equal(image, again)


def test_gradients_reach_every_parameter_but_those_declared_unused(named):
    _, model = named
    twin = copy.deepcopy(model).to("meta").train()
    parameters = dict(twin.net.named_parameters())
    if not parameters:
        return
    outputs = twin.forward_scales(torch.empty(2, 4, 64, 64, device="meta"))
    total = sum(output.sum() for output in outputs)
    gradients = torch.autograd.grad(total, list(parameters.values()), allow_unused=True)
    unreached = {name for name, gradient in zip(parameters, gradients, strict=True) if gradient is None}
    declared = {name for name in parameters if name.startswith(model.unused_parameters or ("\0",))}
    assert unreached == declared


def test_it_saves_and_loads(named, tmp_path):
    name, model = named
    torch.save(
        {"state_dict": {f"model.net.{key}": value for key, value in model.net.state_dict().items()}}, tmp_path / "x"
    )
    with torch.no_grad():
        fresh = build_model(name).eval()
        load_weights(fresh, tmp_path / "x", name)
        raw = torch.rand(1, 4, 32, 32)
        torch.testing.assert_close(fresh(raw), model(raw), rtol=0, atol=0)


@pytest.mark.parametrize("name", ["metaisp_rhid", "nafnet_w32"])
def test_gamma_encoding_in_place_of_the_authors_input(name):
    raw = torch.rand(1, 4, 8, 8) - 0.1
    (encoded,) = build_model(name, ["model.input_gamma=2.2"]).net_inputs(raw)
    torch.testing.assert_close(encoded, raw[:, BGRG_ORDER].clamp_min(0) ** (1 / 2.2))
    (linear,) = build_model(name).net_inputs(raw)
    torch.testing.assert_close(linear, add_black_level(raw[:, BGRG_ORDER], 63, 1020))
    with pytest.raises(UserError, match="input_gamma is positive"):
        build_model(name, ["model.input_gamma=0"])
