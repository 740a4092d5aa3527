import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ispbench.baselines.punet.model import PUNET
from ispbench.errors import UserError
from ispbench.models.build import build_model
from ispbench.raw.levels import normalize_raw


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return build_model("punet", ["model.width=4"]).eval()


def in_tensorflow_layout(net, names):
    """Variables as a TensorFlow checkpoint has them: both kinds of kernels permuted back."""
    state = net.state_dict()
    arrays = [state[name].permute(2, 3, 1, 0) if state[name].ndim == 4 else state[name] for name in names]
    return {
        f"generator/Variable_{index}" if index else "generator/Variable": array.numpy()
        for index, array in enumerate(arrays)
    }


def test_input_is_the_authors_stack_over_the_white_level(small):
    mosaic = torch.randint(0, 1021, (1, 8, 12)).float()
    planes = [mosaic[:, 1::2, 1::2], mosaic[:, 0::2, 1::2], mosaic[:, 0::2, 0::2], mosaic[:, 1::2, 0::2]]
    (seen,) = small.net_inputs(normalize_raw(F.pixel_unshuffle(mosaic, 2)[None], 63, 1020))
    torch.testing.assert_close(seen, torch.stack(planes, 1) / (4 * 255), rtol=0, atol=1e-6)


def test_enlargement_spreads_each_value_right_and_down(small):
    """out[2i + p, 2j + q] += x[i, j] * kernel[p, q], what falls beyond the doubled size dropped."""
    layer, x = small.net.enlarge0, torch.randn(1, 4, 3, 2)
    out = torch.zeros(1, 1, 7, 5)
    for i in range(3):
        for j in range(2):
            out[0, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += torch.einsum(
                "c,copq->opq", x[0, :, i, j], layer.conv.weight.detach()
            )
    torch.testing.assert_close(layer(x), F.leaky_relu(out[..., :6, :4], 0.2))


def test_image_spans_a_little_more_than_zero_to_one():
    model = build_model("punet", ["model.width=4"])
    with torch.no_grad():
        model.net.to_rgb.bias.copy_(torch.tensor([-20.0, 0.0, 20.0]))
        model.net.to_rgb.weight.zero_()
        unclamped = model(torch.rand(1, 4, 16, 16)).mean((0, 2, 3))
        clamped = model.eval()(torch.rand(1, 4, 16, 16)).mean((0, 2, 3))
    torch.testing.assert_close(unclamped, torch.tensor([-0.08, 0.5, 1.08]))
    torch.testing.assert_close(clamped, torch.tensor([0.0, 0.5, 1.0]))


def test_variables_are_numbered_in_the_order_of_their_creation(small):
    names = [name for name, _ in small.net.named_parameters()]
    assert names[:4] == ["down1.conv1.weight", "down1.conv1.bias", "down1.conv2.weight", "down1.conv2.bias"]
    assert len(names) == 63
    assert names[32] == "enlarge4.conv.weight"
    state = small.official_state_dict(in_tensorflow_layout(small.net, names))
    assert list(state) == names
    for name, parameter in small.net.named_parameters():
        assert torch.equal(state[name], parameter)


def test_with_instance_norm_a_shift_precedes_its_scale():
    model = build_model("punet", ["model.width=4", "model.instance_norm=true"])
    state = model.official_state_dict({f"generator/Variable_{i}": np.zeros(1) for i in range(1, 107)})
    names = list(state)
    assert names[6 - 1 : 8 - 1] == ["down2.norm1.bias", "down2.norm1.weight"]
    assert set(model.net.state_dict()) - set(names) == {"down1.conv1.weight"}
    assert model.net.down2.norm1.eps == 1e-3
    assert not any("norm" in name for name in names if name.startswith(("down1", "skip1", "up1")))


@pytest.mark.parametrize("width, parameters", [(8, 1_432_249), (16, 5_725_199), (32, 22_893_211)])
def test_parameters_by_width(width, parameters):
    with torch.device("meta"):
        model = build_model("punet", [f"model.width={width}"])
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_initialisation():
    original = build_model("punet").net.bottom2.conv1
    assert original.weight.abs().max() <= 0.02
    assert original.weight.std().item() == pytest.approx(0.0088, rel=0.02)
    assert (original.bias == 0.01).all()
    assert build_model("punet", ["model.init=pytorch"]).net.up1.conv1.weight.abs().max() > 0.02


@pytest.mark.parametrize("choice", [{"width": 10}, {"width": 0}, {"init": "zero"}])
def test_mistyped_choices_are_refused(choice):
    with pytest.raises(UserError, match=f"model.{next(iter(choice))}"):
        PUNET(**choice)
