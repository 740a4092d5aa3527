import copy

import pytest
import torch

from ispbench.baselines.syenet.model import SYEISP, SYEISPNet
from ispbench.errors import UserError
from ispbench.models.build import build_model
from ispbench.raw.levels import normalize_raw


def _randomise(net: torch.nn.Module) -> None:
    """Random weights and batch norm statistics of ordinary size, at which a fresh network's identities would hide."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in net.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        noise = torch.randn(tensor.shape, generator=generator)
        if name.endswith("running_var"):
            tensor.copy_(1 + 0.5 * noise.abs())
        elif tensor.ndim == 1:
            tensor.copy_(0.5 + 0.2 * noise)
        else:
            tensor.copy_(noise / max(1, tensor[0].numel()) ** 0.5)


def _count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_input_is_dn_over_white_level_in_natural_order():
    dn = torch.randint(0, 4096, (2, 4, 6, 5)).float()
    model = SYEISP()
    model.set_levels(255, 4095)
    (inputs,) = model.net_inputs(normalize_raw(dn, 255, 4095))
    torch.testing.assert_close(inputs, dn / 4095, atol=1e-6, rtol=0)


@pytest.mark.parametrize("random_weights", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (7, 10), (24, 16)])
def test_deploy_equals_the_training_form(random_weights, size):
    model = SYEISP().eval()
    if random_weights:
        _randomise(model.net)
    raw = torch.rand(2, 4, *size)
    with torch.no_grad():
        expected = model.net(raw)
        deployed = copy.deepcopy(model).deploy().net(raw)
    scale = max(1.0, expected.abs().max().item())
    assert (deployed - expected).abs().max().item() <= 1e-5 * scale


def test_deploy_after_a_training_step():
    model = SYEISP()
    optimizer = torch.optim.Adam(model.net.parameters(), 1e-2)
    model(torch.rand(2, 4, 12, 12)).square().mean().backward()
    optimizer.step()
    model.eval()
    raw = torch.rand(1, 4, 12, 12)
    with torch.no_grad():
        torch.testing.assert_close(copy.deepcopy(model).net.deploy()(raw), model.net(raw), atol=1e-5, rtol=1e-5)


def test_deployed_form():
    model = SYEISP()
    assert _count(model.net) == 108_715
    assert not model.net.deployed
    assert model.deploy() is model
    assert model.net.deployed
    assert _count(model.net) == 5_640
    names = set(model.net.state_dict())
    assert len(names) == 20
    assert {"head.block1.0.weight", "head.block1.1.weight", "head.bias", "att.1.weight", "tail.1.bias"} <= names
    before = model.net.state_dict()
    model.deploy()
    assert all(torch.equal(before[name], value) for name, value in model.net.state_dict().items())
    model.train()(torch.rand(1, 4, 4, 4)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_the_knob_builds_the_deployed_form_and_its_weights_load():
    deployed = build_model("syenet", ["model.deploy=true"]).eval()
    assert _count(deployed.net) == 5_640
    merged = SYEISP().eval().deploy()
    deployed.load_state_dict(merged.state_dict())
    raw = torch.rand(1, 4, 9, 9)
    torch.testing.assert_close(deployed(raw), merged(raw))


def test_widths():
    model = SYEISP(channels=5, rep_scale=2).eval()
    _randomise(model.net)
    raw = torch.rand(1, 4, 8, 8)
    expected = model.net(raw)
    torch.testing.assert_close(model.deploy().net(raw), expected, atol=1e-5, rtol=1e-5)
    with pytest.raises(UserError, match=r"model\.channels"):
        SYEISP(channels=0)


def test_one_image_cannot_train_the_training_form():
    with pytest.raises(UserError, match="at least 2"):
        SYEISPNet(12, 4).train()(torch.rand(1, 4, 8, 8))
