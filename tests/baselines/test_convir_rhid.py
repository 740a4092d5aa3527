import pytest
import torch
import torch.nn.functional as F

from ispbench.baselines.convir_rhid.filters import DynamicFilter, MultiScalePool, MultiShapeAttention
from ispbench.baselines.convir_rhid.model import ConvIRNet
from ispbench.errors import UserError
from ispbench.models.build import build_model

TAPS = [(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1)]


def test_a_dynamic_filter_is_a_grouped_convolution_with_the_predicted_kernels():
    torch.manual_seed(0)
    channels, dilation = 16, 3
    layer = DynamicFilter(channels, TAPS, dilation, (2, 3), norm=True).double().eval()
    with torch.no_grad():
        for parameter in (layer.inside_all, layer.lamb_l, layer.lamb_h):
            parameter.normal_()
        x = torch.randn(1, channels, 12, 9, dtype=torch.float64)
        kernels = torch.tanh(layer.bn(layer.conv(x.mean((2, 3), keepdim=True)))).view(8, 1, 3, 3)
        padded = F.pad(x, (dilation,) * 4, mode="reflect")
        low = F.conv2d(padded, kernels.repeat_interleave(2, 0), dilation=dilation, groups=channels)
        inside = layer.inside_all
        low = low * (inside + 1) - inside * x.mean((2, 3), keepdim=True)
        expected = low * layer.lamb_l[:, None, None] + x * (layer.lamb_h[:, None, None] + 1)
        torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("axis", [2, 3])
def test_a_strip_filter_works_along_one_axis(axis):
    taps = [(step, 0) if axis == 2 else (0, step) for step in (-1, 0, 1)]
    layer = DynamicFilter(8, taps, 2, (axis,), norm=False).eval()
    torch.nn.init.ones_(layer.lamb_l)
    x = torch.randn(1, 8, 10, 10)
    x = x.mean(5 - axis, keepdim=True).expand_as(x)  # constant across the strip
    with torch.no_grad():
        y = layer(x)
    torch.testing.assert_close(y, y.mean(5 - axis, keepdim=True).expand_as(y))


def test_filters_start_as_twice_their_input():
    x = torch.randn(2, 16, 20, 20)
    torch.testing.assert_close(MultiShapeAttention(16, 3)(x), 2 * x)


def test_the_pooled_scales_have_the_smallest_size_that_reflection_allows():
    assert MultiScalePool(8).eval()(torch.rand(1, 8, 32, 32)).shape == (1, 8, 32, 32)


def test_small_images_are_padded_to_the_smallest_size():
    model = build_model("convir_rhid", ["model.width=8", "model.blocks=1"]).eval()
    with torch.no_grad():
        assert model(torch.rand(1, 4, 3, 5)).shape == (1, 3, 6, 10)


@pytest.mark.parametrize("option", ["width=12", "blocks=0"])
def test_sizes_that_make_no_network(option):
    with pytest.raises(UserError, match=r"model\."):
        build_model("convir_rhid", [f"model.{option}"])


def test_one_image_cannot_train():
    with pytest.raises(UserError, match="at least 2"):
        ConvIRNet(8, 1).train()(torch.rand(1, 4, 128, 128))
