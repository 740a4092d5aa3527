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
def microisp():
    torch.manual_seed(0)
    return build_model("microisp").eval()


def variables(seed=0):
    """Arrays named and shaped as in the authors' checkpoint."""
    shapes = {}
    for s in (1, 2):
        for i in range(3):
            for label in (*range(7), "out"):
                shapes[f"generator-{s}/{i}_w{s}_{label}"] = (3, 3, 4, 4)
                shapes[f"generator-{s}/{i}_b{s}_{label}"] = (4,)
        for n in range(72):
            kernel = (3, 3, 4, 4) if n % 12 in (2, 4, 6) else (1, 1, 4, 4)
            shapes[f"generator-{s}/Variable{f'_{n}' if n else ''}"] = (4,) if n % 2 else kernel
        for n in range(51 * (s - 1), 51 * s):
            shapes[f"generator-{s}/p_re_lu{f'_{n}' if n else ''}/alpha"] = (1, 1, 4)
    rng = np.random.default_rng(seed)
    return {name: 0.2 * rng.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}


def one_branch(x, state, s, i):
    """A branch by its checkpoint variables, step by step, shape (N, 4, h, w) to the same."""

    def tensor(name):
        value = torch.from_numpy(state[f"generator-{s}/{name}"])
        return value.permute(3, 2, 0, 1) if value.ndim == 4 else value.flatten()

    def variable(n):
        n += 24 * i
        return tensor(f"Variable_{n}" if n else "Variable")

    def prelu(x, t):
        n = 51 * (s - 1) + 17 * i + t
        return F.prelu(x, tensor(f"p_re_lu_{n}/alpha" if n else "p_re_lu/alpha"))

    def conv(x, label):
        return F.conv2d(x, tensor(f"{i}_w{s}_{label}"), tensor(f"{i}_b{s}_{label}"), padding=1)

    def gate(x, m):
        for t in range(4):
            n = 12 * m + 2 * t
            x = prelu(F.conv2d(x, variable(n), variable(n + 1), stride=3), 3 + 8 * m + t)
        x = x.mean((2, 3), keepdim=True)
        x = prelu(F.conv2d(x, variable(12 * m + 8), variable(12 * m + 9)), 7 + 8 * m)
        return torch.sigmoid(F.conv2d(x, variable(12 * m + 10), variable(12 * m + 11)))

    f0 = prelu(conv(x, 0), 0)
    f2 = prelu(conv(prelu(conv(f0, 1), 1), 2), 2)
    f2 = f2 * gate(f2, 0) + f0
    f3 = prelu(conv(f2, 3), 8)
    f5 = prelu(conv(prelu(conv(f3, 4), 9), 5), 10)
    f5 = f5 * gate(f5, 1) + f3
    return torch.tanh(conv(prelu(conv(f5, 6), 16), "out"))


def test_the_raw_enters_as_the_authors_pack_and_scale_it(microisp):
    dn = np.random.default_rng(0).integers(50, 1021, (16, 24))
    theirs = np.stack((dn[1::2, 1::2], dn[0::2, 1::2], dn[0::2, 0::2], dn[1::2, 0::2])) / (4 * 255)
    (ours,) = microisp.net_inputs(torch.from_numpy(normalize_raw(pack(dn), 63, 1020))[None])
    torch.testing.assert_close(ours[0], torch.from_numpy(theirs), rtol=0, atol=1e-6)


def test_grouped_stages_equal_three_separate_branches():
    state = variables()
    net = load_official("microisp", state).net
    raw = torch.rand(1, 4, 79, 83)
    with torch.no_grad():
        branches = [one_branch(one_branch(raw, state, 1, i), state, 2, i) for i in range(3)]
        expected = torch.cat([F.pixel_shuffle(branch * 0.58 + 0.5, 2) for branch in branches], dim=1)
        torch.testing.assert_close(net(raw), expected, rtol=0, atol=1e-5)


def test_small_raw_is_continued_in_the_attention_only(microisp):
    attention = microisp.net.stages[0].units[0].attention
    x = torch.randn(1, 12, 20, 90)
    with torch.no_grad():
        torch.testing.assert_close(attention(x), attention(F.pad(x, (0, 0, 0, 59), mode="replicate")))
        assert microisp(torch.rand(1, 4, 5, 7)).shape == (1, 3, 10, 14)


def test_training_mode_adds_the_image_of_the_first_stage(microisp):
    net = microisp.net
    raw = torch.rand(1, 4, 12, 10)
    with torch.no_grad():
        alone = net(raw)
        image, first = net.train()(raw)
        maps = net.stages[0](raw)
    net.eval()
    assert torch.equal(image, alone)
    assert torch.equal(first, F.pixel_shuffle(maps * 0.58 + 0.5, 2))


def test_an_incomplete_checkpoint_is_named():
    state = variables()
    del state["generator-2/p_re_lu_68/alpha"]
    with pytest.raises(UserError, match=r"1 missing \(stages\.1\.units\.0\.first\.1\.weight\)"):
        load_official("microisp", state)


@pytest.mark.parametrize("stages", [0, "two", 1.5])
def test_stages_is_a_positive_whole_number(microisp, stages):
    with pytest.raises(UserError, match="whole number"):
        type(microisp)(stages)


def test_three_stages():
    model = build_model("microisp", ["model.stages=3"])
    assert len(model.forward_scales(torch.rand(1, 4, 6, 6))) == 3
