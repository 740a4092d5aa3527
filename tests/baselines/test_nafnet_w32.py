import pytest
import torch

from ispbench.baselines.nafnet_w32.model import NAFBlock, NAFNetISP
from ispbench.errors import UserError
from ispbench.models.build import build_model
from ispbench.raw.levels import normalize_raw

SMALL = {"width": 4, "encoder_blocks": [1, 2], "middle_blocks": 1, "decoder_blocks": [1, 1]}


def test_input_is_dn_over_white_level_in_the_authors_order():
    dn = torch.randint(0, 4096, (2, 1, 12, 10)).float()
    authors = torch.cat([dn[..., 1::2, 1::2], dn[..., 0::2, 1::2], dn[..., 0::2, 0::2], dn[..., 1::2, 0::2]], 1) / 4095
    planes = torch.nn.functional.pixel_unshuffle(dn, 2)
    model = NAFNetISP(**SMALL)
    model.set_levels(63, 4095)
    (inputs,) = model.net_inputs(normalize_raw(planes, 63, 4095))
    torch.testing.assert_close(inputs, authors, atol=1e-6, rtol=0)


def test_an_untrained_block_passes_its_input_through():
    x = torch.randn(2, 6, 5, 7)
    torch.testing.assert_close(NAFBlock(6)(x), x, atol=0, rtol=0)


def test_layer_norm_has_the_papers_epsilon():
    assert {block.norm1.eps for block in NAFNetISP(**SMALL).net.modules() if isinstance(block, NAFBlock)} == {1e-6}


def test_width_and_depths_from_the_command_line():
    overrides = ["width=8", "encoder_blocks=[1,2,3]", "middle_blocks=2", "decoder_blocks=[0,1,1]"]
    model = build_model("nafnet_w32", [f"model.{override}" for override in overrides]).eval()
    assert model.multiple == 8
    assert [len(stage) for stage in model.net.encoders] == [1, 2, 3]
    assert [len(stage) for stage in model.net.decoders] == [0, 1, 1]
    assert len(model.net.middle_blks) == 2
    assert model(torch.rand(1, 4, 9, 13)).shape == (1, 3, 18, 26)


@pytest.mark.parametrize(
    "changed, named",
    [
        ({"width": 0}, r"model\.width"),
        ({"middle_blocks": -1}, "numbers of blocks"),
        ({"decoder_blocks": [1, 1, 1]}, r"model\.decoder_blocks"),
    ],
)
def test_impossible_shapes_are_named(changed, named):
    with pytest.raises(UserError, match=named):
        NAFNetISP(**{**SMALL, **changed})
