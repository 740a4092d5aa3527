import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ispbench.checkpoints import load_official
from ispbench.errors import UserError
from ispbench.models.build import build_model
from ispbench.raw.bayer import pack
from ispbench.raw.levels import normalize_raw


@pytest.fixture(scope="module")
def lan():
    torch.manual_seed(0)
    return build_model("lan").eval()


def variables(seed=0):
    """Arrays shaped as in the authors' checkpoint, in the order of its numbering."""
    attention = [(3, 3, 16, 32), (32,), (1, 1, 32, 32), (32,), (1, 1, 32, 8), (8,), (1, 1, 8, 32), (32,)]
    attention += [(5, 5, 32, 1), (3, 3, 64, 16), (16,)]
    shapes = [
        (4, 4, 1, 16),
        (16,),
        *[(3, 3, 16, 16), (16,)] * 2,
        *attention * 2,
        *[(3, 3, 16, 16), (16,)] * 2,
    ]
    shapes += [(3, 3, 32, 16), (16,), (3, 3, 4, 3), (3,)]
    rng = np.random.default_rng(seed)
    names = ["generator/Variable", *(f"generator/Variable_{index}" for index in range(1, 36))]
    return {name: 0.2 * rng.standard_normal(shape, dtype=np.float32) for name, shape in zip(names, shapes, strict=True)}


def test_the_mosaic_enters_in_sensor_numbers(lan):
    dn = np.random.default_rng(0).integers(50, 1021, (16, 24))
    raw = torch.from_numpy(normalize_raw(pack(dn), 63, 1020))[None]
    (bayer,) = lan.net_inputs(raw)
    torch.testing.assert_close(bayer[0, 0], torch.from_numpy(dn).double(), rtol=1e-6, atol=0)


def test_every_variable_is_mapped_and_a_foreign_one_is_kept(lan):
    mapped = lan.official_state_dict(variables())
    own = lan.net.state_dict()
    assert {name: tensor.shape for name, tensor in mapped.items()} == {n: t.shape for n, t in own.items()}
    foreign = "generator/Variable_36"
    assert list(lan.official_state_dict({foreign: np.zeros(3, np.float32)})) == [foreign]


def test_upsampling_scatters_like_tensorflow_and_drops_the_last_row_and_column(lan):
    kernel = variables()["generator/Variable_30"]  # (kh, kw, out, in)
    weight = lan.official_state_dict({"generator/Variable_30": kernel})["up.weight"]
    x = torch.randn(1, 16, 3, 4)
    expected = torch.zeros(1, 16, 8, 10)
    for i, j, p, q in np.ndindex(3, 4, 3, 3):
        expected[0, :, 2 * i + p, 2 * j + q] += torch.from_numpy(kernel[p, q]) @ x[0, :, i, j]
    actual = F.conv_transpose2d(x, weight, stride=2)[..., :-1, :-1]
    torch.testing.assert_close(actual, expected[..., :6, :8], rtol=1e-5, atol=1e-5)


def test_depth_to_space_order(lan):
    """Output (2i + j) * 4 + c of the merging layer is pixel (i, j) of map c."""
    values = np.arange(16, dtype=np.float32)
    bias = lan.official_state_dict({"generator/Variable_33": values})["merge.bias"]
    maps = F.pixel_shuffle(bias.view(1, 16, 1, 1), 2)
    for i, j, c in np.ndindex(2, 2, 4):
        assert maps[0, c, i, j] == (2 * i + j) * 4 + c


def test_load_official_names_what_is_wrong():
    state = variables()
    assert not load_official("lan", state).training
    state["generator/Variable_8"] = np.zeros((1, 1, 32, 16), np.float32)
    with pytest.raises(UserError, match=r"attention1\.mix\.weight"):
        load_official("lan", state)
