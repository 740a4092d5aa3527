import pytest
import torch

from ispbench.baselines.rmfa_tiny.model import ChannelAttention, RMFABlock, ToneMapping
from ispbench.errors import UserError
from ispbench.models.build import build_model
from ispbench.raw.levels import normalize_raw


def test_the_mosaic_is_split_into_three_planes_with_ones_between():
    dn = torch.randint(0, 1024, (2, 4, 3, 5)).float()
    (split,) = build_model("rmfa_tiny").net_inputs(normalize_raw(dn, 63, 1020))
    expected = torch.ones(2, 3, 6, 10)
    places = ((0, 0, 0), (1, 0, 1), (1, 1, 0), (2, 1, 1))  # color, row, column of R, Gr, Gb, B
    for plane, (color, row, column) in enumerate(places):
        expected[:, color, row::2, column::2] = (dn[:, plane] - 63).clamp_min(0) / 1023
    torch.testing.assert_close(split, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("blocks, width, params", [(2, 16, 29_223), (8, 16, 107_283), (20, 32, 1_042_731)])
def test_the_larger_forms_have_the_parameters_of_the_public_code(blocks, width, params):
    model = build_model("rmfa_tiny", [f"model.blocks={blocks}", f"model.width={width}"])
    assert sum(parameter.numel() for parameter in model.parameters()) == params


@pytest.mark.parametrize(
    "option, message", [("width=8", "at least 16"), ("width=17", "even"), ("blocks=0", "at least 1")]
)
def test_sizes_that_make_no_network(option, message):
    with pytest.raises(UserError, match=message):
        build_model("rmfa_tiny", [f"model.{option}"])


def test_tone_mapping_subtracts_what_it_estimates():
    tone = ToneMapping(16)
    for module in (tone.level1[1], tone.level2[1], tone.level3[0]):
        torch.nn.init.zeros_(module.weight)
        torch.nn.init.constant_(module.bias, 0.25)
    x = torch.rand(1, 16, 8, 12)
    torch.testing.assert_close(tone(x), x - 0.5)  # the estimates of half and of quarter size, and no third
    assert tone(torch.rand(1, 16, 9, 12)).shape == (1, 16, 9, 12)


def test_attention_scales_and_the_residual_stays():
    block = RMFABlock(16)
    torch.nn.init.zeros_(block.fusion[0].weight)
    torch.nn.init.zeros_(block.fusion[0].bias)
    x = torch.rand(1, 16, 8, 8)
    torch.testing.assert_close(block(x), x)
    gate = ChannelAttention(16)
    torch.nn.init.constant_(gate.fc[0].weight, 1)
    torch.nn.init.constant_(gate.fc[2].weight, 1)
    expected = torch.sigmoid(x.mean((2, 3)).sum() + x.amax((2, 3)).sum()) * x
    torch.testing.assert_close(gate(x), expected)
