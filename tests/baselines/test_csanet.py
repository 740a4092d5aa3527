import pytest
import torch
from torch.nn import functional as F

from ispbench.baselines.csanet.model import CSANet
from ispbench.errors import UserError
from ispbench.models.build import build_model
from ispbench.raw.levels import normalize_raw


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return build_model("csanet").eval()


def test_input_is_the_authors_stack_over_the_white_level(model):
    mosaic = torch.randint(0, 1021, (1, 8, 12)).float()
    planes = [mosaic[:, 1::2, 1::2], mosaic[:, 0::2, 1::2], mosaic[:, 0::2, 0::2], mosaic[:, 1::2, 0::2]]
    (seen,) = model.net_inputs(normalize_raw(F.pixel_unshuffle(mosaic, 2)[None], 63, 1020))
    torch.testing.assert_close(seen, torch.stack(planes, 1) / (4 * 255), rtol=0, atol=1e-6)


def test_spatial_gate_is_a_sigmoid_of_a_sigmoid(model):
    gate = model.net.attention1.spatial_gate(100 * torch.randn(1, 32, 24, 24)).detach()
    assert gate.min() >= 0.5
    assert gate.max() <= torch.tensor(1.0).sigmoid()
    assert gate.max() - gate.min() > 0.2


def test_channel_gate_multiplies_the_scores_of_average_and_maximum(model):
    attention, x = model.net.attention2, torch.rand(2, 32, 6, 7)
    average = attention.channel_mlp(F.adaptive_avg_pool2d(x, 1))
    maximum = attention.channel_mlp(F.adaptive_max_pool2d(x, 1))
    torch.testing.assert_close(attention.channel_gate(x), torch.sigmoid(average * maximum))


def test_stride_one_transposed_convolution_is_a_convolution_with_the_flipped_kernel(model):
    fuse, x = model.net.fuse, torch.randn(1, 96, 9, 10)
    kernel = fuse.weight.transpose(0, 1).flip(2, 3)
    torch.testing.assert_close(fuse(x), F.conv2d(x, kernel, fuse.bias, padding=1), rtol=0, atol=1e-5)


def test_negative_logits_are_scaled_by_a_fifth(model):
    net = model.net
    before = {name: tensor.clone() for name, tensor in net.refine.state_dict().items()}
    with torch.no_grad():
        net.refine.weight.zero_()
        net.refine.bias.copy_(torch.tensor([-10.0, 0.0, 3.0]))
        image = net(torch.rand(1, 4, 8, 8))
    net.refine.load_state_dict(before)
    expected = torch.tensor([-2.0, 0.0, 3.0]).sigmoid().view(1, 3, 1, 1).expand_as(image)
    torch.testing.assert_close(image, expected)


def test_smallest_image(model):
    assert model(torch.rand(1, 4, 5, 5)).shape == (1, 3, 10, 10)


def test_odd_width_is_refused():
    with pytest.raises(UserError, match="even"):
        CSANet(channels=33)
