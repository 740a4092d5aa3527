import numpy as np
import pytest
import torch

from ispbench.models.build import build_model
from ispbench.raw.bayer import pack
from ispbench.raw.levels import normalize_raw


@pytest.fixture(scope="module")
def pynet_v2():
    torch.manual_seed(0)
    return build_model("pynet_v2").eval()


def test_the_raw_enters_as_the_authors_pack_and_scale_it(pynet_v2):
    dn = np.random.default_rng(0).integers(50, 1021, (32, 40))
    theirs = np.stack((dn[1::2, 1::2], dn[0::2, 1::2], dn[0::2, 0::2], dn[1::2, 0::2])) / (4 * 255)
    (ours,) = pynet_v2.net_inputs(torch.from_numpy(normalize_raw(pack(dn), 63, 1020))[None])
    torch.testing.assert_close(ours[0], torch.from_numpy(theirs), rtol=0, atol=1e-6)


def test_layers_that_the_port_discards_change_nothing(pynet_v2):
    unused = [
        (name, parameter)
        for name, parameter in pynet_v2.net.named_parameters()
        if name.startswith(pynet_v2.unused_parameters)
    ]
    assert len(unused) == 40
    assert sum(parameter.numel() for _, parameter in unused) == 74_380
    raw = torch.rand(1, 4, 16, 16)
    with torch.no_grad():
        before = pynet_v2(raw)
        for _, parameter in unused:
            parameter.add_(1)
        assert torch.equal(pynet_v2(raw), before)


def test_a_group_is_rendered_by_its_own_last_layer(pynet_v2):
    block = pynet_v2.net.conv_l2_d13
    x = torch.randn(1, 64, 8, 8)
    with torch.no_grad():
        parts = torch.cat((block.convs[2](x[:, :32]), block.convs[5](x[:, 32:])), dim=1)
        torch.testing.assert_close(block(x), block.conv(parts) + x)


def test_normalised_layers(pynet_v2):
    """By the number of the layer: none of those that count on level 3, one on level 2, half on level 1."""
    normalised = [
        name.removesuffix(".instance.weight") for name in pynet_v2.net.state_dict() if "instance.weight" in name
    ]
    live = [name for name in normalised if f"{name}." not in pynet_v2.unused_parameters]
    assert live == [
        "conv_l2_d13.convs.2",
        "conv_l1_d13.convs.0",
        "conv_l1_d13.convs.2",
        "conv_l1_d14.convs.0",
    ]


def test_small_raw_is_padded(pynet_v2):
    assert pynet_v2(torch.rand(1, 4, 16, 17)).shape == (1, 3, 32, 34)
    assert pynet_v2(torch.rand(1, 4, 3, 40)).shape == (1, 3, 6, 80)
