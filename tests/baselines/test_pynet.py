import pytest
import torch
from torch import nn

from ispbench.baselines.pynet.model import PyNET
from ispbench.errors import UserError
from ispbench.models.build import build_model
from ispbench.raw.levels import normalize_raw


def on_meta(*overrides):
    with torch.device("meta"):
        return build_model("pynet", overrides)


def test_input_is_the_authors_stack_over_the_white_level():
    mosaic = torch.randint(0, 1021, (1, 8, 12)).float()
    planes = [mosaic[:, 1::2, 1::2], mosaic[:, 0::2, 1::2], mosaic[:, 0::2, 0::2], mosaic[:, 1::2, 0::2]]
    raw = normalize_raw(nn.functional.pixel_unshuffle(mosaic, 2)[None], 63, 1020)
    (seen,) = on_meta().net_inputs(raw)
    torch.testing.assert_close(seen, torch.stack(planes, 1) / (4 * 255), rtol=0, atol=1e-6)


@pytest.mark.parametrize("level", range(6))
def test_image_of_a_level_is_two_to_the_level_times_smaller(level):
    model = on_meta(f"model.level={level}")
    assert model(torch.empty(2, 4, 64, 96, device="meta")).shape == (2, 3, 128 >> level, 192 >> level)


def test_all_levels_have_the_same_parameters():
    shapes = [{name: p.shape for name, p in on_meta(f"model.level={level}").named_parameters()} for level in range(6)]
    assert all(shape == shapes[0] for shape in shapes)


@pytest.mark.parametrize("level", [3, 5])
def test_a_level_reads_nothing_of_its_unused_parameters(level):
    model = build_model("pynet", [f"model.level={level}"]).eval()
    raw = torch.rand(1, 4, 32, 32)
    with torch.no_grad():
        before = model(raw)
        for name, parameter in model.net.named_parameters():
            if name.startswith(model.unused_parameters):
                parameter.fill_(torch.nan)
        assert torch.equal(model(raw), before)


def test_unused_at_full_size_are_the_five_coarser_heads():
    model = on_meta()
    unused = [p.numel() for name, p in model.net.named_parameters() if name.startswith(model.unused_parameters)]
    assert (len(unused), sum(unused)) == (10, 26799)


@pytest.mark.parametrize("choice, layers", [("all", 124), ("coarse", 76), ("none", 0)])
def test_instance_norm_is_chosen_by_level(choice, layers):
    net = on_meta(f"model.instance_norm={choice}").net
    assert sum(isinstance(module, nn.InstanceNorm2d) for module in net.modules()) == layers
    if choice == "coarse":
        assert not any(isinstance(module, nn.InstanceNorm2d) for module in net.levels[1].modules())


@pytest.mark.parametrize(
    "official, own",
    [
        ("conv_l1_d1.conv_3a.conv2d.weight", "encoder.0.branches.0.0.conv2d.weight"),
        ("conv_l1_d10.conv_5b.instance.bias", "levels.1.d10.branches.1.1.instance.bias"),
        ("conv_l5_d1.conv_3b.conv2d.bias", "levels.5.d1.branches.0.1.conv2d.bias"),
        ("conv_t4a.conv2d.bias", "levels.4.up_a.conv2d.bias"),
        ("conv_t0.conv2d.weight", "levels.0.up.conv2d.weight"),
        ("conv_l5_out.conv2d.weight", "heads.5.conv2d.weight"),
        ("conv_l0_d1.conv2d.bias", "heads.0.conv2d.bias"),
    ],
)
def test_names_of_the_authors_checkpoints(official, own):
    model = on_meta()
    assert list(model.official_state_dict({official: None})) == [own]
    assert own in model.net.state_dict()


def test_smallest_images_are_padded():
    model = build_model("pynet", ["model.level=4"]).eval()
    with torch.no_grad():
        assert model(torch.rand(1, 4, 9, 40)).shape == (1, 3, 2, 5)


@pytest.mark.parametrize("choice", [{"level": 6}, {"level": "fine"}, {"instance_norm": "some"}])
def test_mistyped_choices_are_refused(choice):
    with pytest.raises(UserError, match=f"model.{next(iter(choice))}"):
        PyNET(**choice)
