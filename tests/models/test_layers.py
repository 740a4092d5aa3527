import pytest
import torch
import torch.nn.functional as F

from ispbench.models.layers import LayerNorm2d, haar, inverse_haar

FILTERS = torch.tensor(
    [[[0.5, 0.5], [0.5, 0.5]], [[0.5, 0.5], [-0.5, -0.5]], [[0.5, -0.5], [0.5, -0.5]], [[0.5, -0.5], [-0.5, 0.5]]]
)[:, None]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_haar_is_the_grouped_convolution(layout):
    x = torch.randn(2, 3, 8, 6).to(memory_format=layout)
    reference = F.conv2d(x, FILTERS.repeat(3, 1, 1, 1), stride=2, groups=3)
    torch.testing.assert_close(haar(x), reference)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_inverse_haar_is_the_transposed_convolution_and_inverts(layout):
    x = torch.randn(2, 12, 4, 5).to(memory_format=layout)
    reference = F.conv_transpose2d(x, FILTERS.repeat(3, 1, 1, 1), stride=2, groups=3)
    torch.testing.assert_close(inverse_haar(x), reference)
    torch.testing.assert_close(haar(inverse_haar(x)), x)


def test_layer_norm_is_the_one_of_torch_over_channels():
    norm = LayerNorm2d(5)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = torch.randn(2, 5, 3, 4)
    reference = F.layer_norm(x.permute(0, 2, 3, 1), (5,), norm.weight, norm.bias).permute(0, 3, 1, 2)
    torch.testing.assert_close(norm(x), reference)
