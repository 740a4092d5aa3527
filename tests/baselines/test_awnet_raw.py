"""AWNet on packed RAW, and what it shares with the demosaiced form."""

import numpy as np
import pytest
import torch

from ispbench.baselines.awnet_raw.blocks import GlobalContext, grouped_haar, inverse_grouped_haar
from ispbench.baselines.awnet_raw.model import AWNetRaw, AWNetRawNet
from ispbench.errors import UserError
from ispbench.models.layers import haar
from ispbench.raw.levels import normalize_raw


def tiny() -> AWNetRaw:
    return AWNetRaw(width=8, depths=(1, 1, 1, 1, 1))


def test_input_is_the_authors_normalisation_and_plane_order():
    dn = np.random.default_rng(0).integers(0, 1024, (32, 48)).astype(np.float32)
    theirs = np.stack((dn[1::2, 1::2], dn[0::2, 1::2], dn[0::2, 0::2], dn[1::2, 0::2])) / (4 * 255)
    ours = np.stack((dn[0::2, 0::2], dn[0::2, 1::2], dn[1::2, 0::2], dn[1::2, 1::2]))
    (x,) = tiny().net_inputs(normalize_raw(torch.from_numpy(ours)[None], 63, 1020))
    torch.testing.assert_close(x[0], torch.from_numpy(theirs), rtol=0, atol=1e-6)


def test_haar_bands_of_a_cell():
    cell = torch.tensor([[1.0, 2.0], [4.0, 8.0]])
    bands = grouped_haar(torch.stack((cell, 10 * cell))[None]).flatten()
    torch.testing.assert_close(bands, torch.tensor([7.5, 75, 2.5, 25, 4.5, 45, 1.5, 15]))


def test_haar_is_a_signed_permutation_of_the_shared_one():
    x = torch.randn(2, 3, 6, 8)
    ll, vertical, horizontal, diagonal = haar(x).unflatten(1, (3, 4)).unbind(2)
    torch.testing.assert_close(grouped_haar(x), torch.cat((ll, -horizontal, -vertical, diagonal), dim=1))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_haar_inverts(memory_format):
    x = torch.randn(2, 3, 6, 8).to(memory_format=memory_format)
    torch.testing.assert_close(inverse_grouped_haar(grouped_haar(x)), x)


def test_global_context_adds_one_vector_and_ignores_the_bias_of_its_mask():
    block = GlobalContext(8)
    x = torch.randn(2, 8, 5, 6)
    added = block(x) - x
    torch.testing.assert_close(added, added[..., :1, :1].expand_as(added), rtol=0, atol=1e-5)
    torch.nn.init.constant_(block.conv_mask.bias, 3.0)
    torch.testing.assert_close(block(x) - x, added)


def test_side_outputs_only_in_training():
    net = tiny().net
    x = torch.rand(2, 4, 32, 48)
    image, *sides = net.train()(x)
    assert image.shape == (2, 3, 64, 96)
    assert [side.shape[-2:] for side in sides] == [(32 >> i, 48 >> i) for i in range(5)]
    assert isinstance(net.eval()(x), torch.Tensor)


def test_official_names():
    with torch.device("meta"):
        model = AWNetRaw()
    shapes = {  # the examples of the reference and one of every kind of prefix
        "conv1.weight": (64, 4, 3, 3),
        "layer1.0.residual_dense_layers.3.conv.weight": (16, 112, 3, 3),
        "layer1.0.final_att.channel_add_conv.1.weight": (16, 1, 1),
        "layer1.3.stem.1.weight": (1,),
        "layer4.4.conv_down.weight": (512, 512, 3, 3),
        "layer5.3.conv_1x1.bias": (1024,),
        "layer2_up.stem.3.weight": (128, 128, 3, 3),
        "se5.x_red.weight": (1024, 1024, 1, 1),
        "sc_x3.se.x_red.weight": (256, 256, 1, 1),
        "scale_1.weight": (3, 64, 3, 3),
        "scale_5.weight": (3, 1024, 3, 3),
        "last.enhance.stages.2.1.weight": (16, 16, 1, 1),
    }
    own = model.net.state_dict()
    mapped = model.official_state_dict(shapes)
    assert len(mapped) == len(shapes)
    assert {name: tuple(own[name].shape) for name in mapped} == mapped


def test_unused_parameters_are_the_dead_convolutions():
    with torch.device("meta"):
        model = AWNetRaw()
    unused = [p for name, p in model.net.named_parameters() if name.startswith(model.unused_parameters)]
    assert len(unused) == 8
    assert sum(p.numel() for p in unused) == 3_134_400


@pytest.mark.parametrize("width", [0, 12, "64"])
def test_a_wrong_width_is_named(width):
    with pytest.raises(UserError, match=r"model\.width"):
        AWNetRawNet(width=width)


@pytest.mark.parametrize("depths", [3, (1, 1, 1), (1, 1, 1, 1, 0)])
def test_wrong_depths_are_named(depths):
    with pytest.raises(UserError, match=r"model\.depths"):
        AWNetRawNet(width=8, depths=depths)
