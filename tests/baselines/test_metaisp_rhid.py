import pytest
import torch
import torch.nn.functional as F

from ispbench.baselines.metaisp_rhid.model import MetaISPRHID, SummedSpatialCorrection
from ispbench.errors import UserError
from ispbench.models.build import build_model
from ispbench.models.metaisp.blocks import ChannelCorrection
from ispbench.models.metaisp.predictor import Predictor
from ispbench.raw.levels import normalize_raw


def predictor():
    return Predictor(6, 3)


def test_the_input_is_dn_over_white_in_the_order_of_the_port():
    mosaic = torch.randint(0, 4096, (1, 16, 16)).float()
    planes = (mosaic[:, 1::2, 1::2], mosaic[:, 0::2, 1::2], mosaic[:, 0::2, 0::2], mosaic[:, 1::2, 0::2])
    raw = normalize_raw(F.pixel_unshuffle(mosaic[None], 2), 63, 4095)
    model = MetaISPRHID(width=4)
    model.set_levels(63, 4095)
    (inputs,) = model.net_inputs(raw)
    assert torch.allclose(inputs, torch.stack(planes, dim=1) / 4095, atol=1e-6)


def test_the_channel_matrix_meets_its_input_channel_first():
    block = ChannelCorrection(6, 5, 3, predictor)
    y, weights = torch.randn(2, 5, 4, 4), torch.rand(2, 3)
    expected = torch.einsum("bn,nkl,bkhw->blhw", weights, block.bases, y)
    assert torch.allclose(block.correct(y, weights), expected, atol=1e-5)


def test_the_spatial_weight_is_a_product_of_two_sums():
    block = SummedSpatialCorrection(6, 5, 3, predictor)
    y, weights = torch.randn(2, 5, 4, 4), torch.rand(2, 3)
    vector = F.normalize(weights @ block.bases, dim=1)
    expected = torch.einsum("bk,blhw->bhw", vector, F.normalize(y, dim=1))[:, None]
    assert torch.allclose(block.attention(y, weights), expected, atol=1e-5)


def test_the_cosine_is_another_network_of_the_same_tensors():
    sums, cosine = (build_model("metaisp_rhid", [f"model.spatial={kind}"]).eval() for kind in ("sums", "cosine"))
    cosine.load_state_dict(sums.state_dict())
    raw = torch.rand(1, 4, 16, 16)
    with torch.no_grad():
        assert not torch.allclose(sums.net(raw), cosine.net(raw), atol=1e-3)


def test_training_starts_as_in_the_port():
    net = MetaISPRHID().net
    bases = torch.cat([value.flatten() for name, value in net.named_parameters() if name.endswith("bases")])
    assert abs(bases.std().item() - 1) < 0.02
    assert all(value.any() for name, value in net.named_parameters() if name.endswith("back.weight"))


@pytest.mark.parametrize("arguments", [{"spatial": "dot"}, {"width": 0}, {"num_bases": 1.5}])
def test_mistakes_are_named(arguments):
    with pytest.raises(UserError, match=next(iter(arguments))):
        MetaISPRHID(**arguments)


@pytest.mark.parametrize("spatial", ["sums", "cosine"])
def test_training_computes_what_evaluation_does(spatial):
    model = build_model("metaisp_rhid", [f"model.spatial={spatial}", "model.width=8", "model.basis_dim=8"])
    for value in model.parameters():
        torch.nn.init.normal_(value, std=0.2)
    raw = torch.rand(2, 4, 16, 16)
    with torch.no_grad():
        evaluated = model.net(raw)
    torch.testing.assert_close(model.net(raw), evaluated)
