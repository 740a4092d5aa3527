import pytest
import torch

from ispbench.models.build import build_model
from ispbench.raw.levels import normalize_raw

BLACK = torch.tensor([62.0, 60.0, 58.0, 61.0]).view(1, 4, 1, 1)  # of B, Gr, R, Gb


def _count(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name, params", [("efficient_isp", 3060), ("robust_isp", 1616)])
def test_widths_and_input(name, params):
    model = build_model(name)
    assert _count(model) == params
    dn = torch.randint(0, 1024, (2, 4, 6, 5)).float()  # R, Gr, Gb, B
    (inputs,) = model.net_inputs(normalize_raw(dn, 63, 1020))
    expected = (dn[:, [3, 1, 0, 2]] - BLACK) / (1023 - BLACK)
    assert expected.min() < 0
    torch.testing.assert_close(inputs, expected, atol=1e-6, rtol=0)


def test_the_bare_network_is_not_clamped_and_its_model_is():
    model = build_model("efficient_isp").eval()
    with torch.no_grad():
        model.net.conv3.bias.fill_(3)
        raw = torch.rand(1, 4, 8, 8)
        assert model.net(raw).max() > 1
        assert model(raw).max() == 1
