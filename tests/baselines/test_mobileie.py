import copy

import pytest
import torch

from ispbench.baselines.mobileie.model import FST, MobileIENet
from ispbench.checkpoints import load_official
from ispbench.errors import UserError
from ispbench.models.build import build_model
from ispbench.parity.vectors import load_vectors
from ispbench.raw.levels import normalize_raw


def _count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def _vector(key="mobileie_strong"):
    vector = load_vectors()[key]
    return vector, vector.state_dict(), [torch.from_numpy(array) for array in vector.model_inputs()]


@pytest.mark.parametrize("key", ["mobileie", "mobileie_strong"])
def test_the_deployed_form_gives_the_public_output_too(key):
    vector, state, inputs = _vector(key)
    net = load_official("mobileie", state).deploy().net
    with torch.no_grad():
        assert vector.error(net(*inputs).numpy()) <= 1e-5
    assert _count(net) == 4132


@pytest.mark.parametrize("size", [(1, 1), (7, 10), (24, 16)])
def test_deploy_is_exact_at_borders_too(size):
    _, state, _ = _vector()
    net = load_official("mobileie", state).net
    raw = torch.rand(2, 4, *size)
    with torch.no_grad():
        expected = net(raw)
        torch.testing.assert_close(copy.deepcopy(net).deploy()(raw), expected, atol=2e-6, rtol=2e-6)


def test_deployed_tensors_load_as_the_authors_have_them():
    _, state, inputs = _vector()
    merged = load_official("mobileie", state).deploy().net
    names = set(merged.state_dict())
    assert len(names) == 19
    assert {"head.weight1", "head.block1.0.weight", "head.block1.1.weight", "att1.0.bias", "tail.1.weight"} <= names
    again = load_official("mobileie", merged.state_dict()).net
    assert again.deployed
    with torch.no_grad():
        assert torch.equal(again(*inputs), merged(*inputs))


def test_a_training_step_moves_both_factors_alike():
    net = MobileIENet(4)
    net(torch.rand(2, 4, 12, 12)).square().mean().backward()
    assert torch.equal(net.head.weight1.grad, net.head.weight2.grad)
    used = {name for name, parameter in net.named_parameters() if parameter.grad is not None}
    assert used == {name for name, _ in net.named_parameters() if not name.startswith("tail_warm")}


def test_the_self_transform_squares():
    unit = FST(torch.nn.Identity(), 12)
    with torch.no_grad():
        unit.weight1.fill_(2)
        unit.weight2.fill_(3)
        unit.bias.fill_(0.5)
        x = torch.randn(1, 12, 4, 4)
        torch.testing.assert_close(unit(x), 6 * x**2 + 0.5)


@pytest.mark.parametrize("black, white, factor", [(63, 1020, 1), (255, 4095, 1023 / 4095)])
def test_the_input_is_ten_bit_dn_over_4095_in_natural_order(black, white, factor):
    dn = torch.randint(0, white + 1, (2, 4, 6, 5)).float()
    model = build_model("mobileie")
    model.set_levels(black, white)
    (inputs,) = model.net_inputs(normalize_raw(dn, black, white))
    torch.testing.assert_close(inputs, dn * factor / 4095, atol=1e-6, rtol=0)


def test_one_image_cannot_train_the_training_form():
    net = MobileIENet(4).train()
    with pytest.raises(UserError, match="at least 2"):
        net(torch.rand(1, 4, 8, 8))
    net.deploy()(torch.rand(1, 4, 8, 8)).sum().backward()
