"""Whatever a network computes, in pieces and through files it computes the same."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ispbench.config import networks
from ispbench.models.build import build_model
from ispbench.rendering import streamed
from ispbench.rendering.scratch import Scratch
from ispbench.rendering.streamed import Streamed

# Narrow forms of what is wide, to be quick.
NARROW = {
    "awnet_demosaic": ["model.width=8", "model.depths=[1,1,1,1,1]"],
    "awnet_raw": ["model.width=8", "model.depths=[1,1,1,1,1]"],
    "convir_rhid": ["model.width=8", "model.blocks=1"],
    "fourierisp": ["model.width=4"],
    "liteispnet": ["model.width=16", "model.blocks=1", "model.precoord=true"],
    "metaisp": ["model.width=8", "model.basis_dim=8", "model.num_bases=2"],
    "metaisp_rhid": ["model.width=8", "model.basis_dim=8", "model.num_bases=2"],
    "mwispnet": ["model.width=16", "model.blocks=1"],
    "nafnet_w32": ["model.width=4", "model.encoder_blocks=[1,1]", "model.decoder_blocks=[1,1]"],
    "punet": ["model.width=4", "model.instance_norm=true"],
    "unet": ["model.decoder_widths=[32,16,16,8,8]"],
}
# What sees no more than the surroundings of a pixel.
LOCAL = {"efficient_isp", "robust_isp"}
# What makes a large result in memory first: of the RAW's few planes, of one channel, or of the weights alone.
SMALL = {"aten.mm", "aten.repeat", "aten.zeros", "aten._softmax"}


@pytest.fixture
def mode(tmp_path, monkeypatch):
    """Everything above 4 KiB is in a file, and a piece has 32 KiB."""
    monkeypatch.setattr(streamed, "_PIECE", 2**15)
    return Streamed(Scratch(tmp_path / "scratch", least=2**12))


@torch.no_grad()
def seasoned(name, options=()):
    """A model in double precision with none of its branches switched off, as some are before training."""
    torch.manual_seed(0)
    model = build_model(name, [*NARROW.get(name, []), *options]).eval().double()
    for value in model.parameters():
        if value.dim() > 1 and value[0].numel() > 1:
            value.normal_(std=1 / value[0].numel() ** 0.5)
        elif not value.any():
            value.normal_(std=0.1)
    return model


@pytest.mark.parametrize("name", networks())
def test_each_network_renders_as_a_whole(name, mode, rng):
    """The left part is dark, the right one bright: what a network finds over the whole image, it finds in no part."""
    model = seasoned(name)
    raw = torch.from_numpy(rng.random((1, 4, 37, 43)))
    raw[..., 24:] *= 0.1
    with torch.no_grad():
        whole = model.forward_scales(raw)[0]
        with mode:
            image = model.forward_scales(raw)[0]
        part = model.forward_scales(raw[..., :24])[0]
    spread = whole.std()
    assert spread > 1e-3
    assert (image - whole).abs().max() < 1e-9 * spread
    assert mode.whole <= SMALL
    assert ((part - whole[..., :48])[..., :16].abs().max() > 1e-5 * spread) == (name not in LOCAL)


def test_a_block_of_the_ablations(mode, rng):
    model = seasoned("metaisp", ["model.placement=se", "model.resampling=strided"])
    raw = torch.from_numpy(rng.random((1, 4, 40, 48)))
    with torch.no_grad():
        whole = model(raw)
        with mode:
            torch.testing.assert_close(model(raw), whole)


def conv(x, channels=12, kernel=3, **options):
    weight = fixed(channels, 8 // options.get("groups", 1), *np.broadcast_to(kernel, 2))
    return F.conv2d(x, weight, torch.ones(channels, dtype=x.dtype), **options)


def transposed(x, kernel, **options):
    return F.conv_transpose2d(x, fixed(8, 5, *kernel), torch.ones(5, dtype=x.dtype), **options)


def fixed(*shape):
    return torch.from_numpy(np.random.default_rng(1).standard_normal(shape))


def in_place(x):
    y = x * 1
    y[..., 1::2, :] = 0.5
    return y.add_(x).clamp_min_(0.1).mul_(x.mean((2, 3), keepdim=True))


OPERATIONS = {
    "conv": lambda x: conv(x, padding=1),
    "conv without padding": lambda x: conv(x, kernel=(5, 3)),
    "conv, stride 3": lambda x: conv(x, stride=3),
    "conv, stride 2, kernel 4": lambda x: conv(x, kernel=4, stride=2, padding=1),
    "conv, dilated, by channel": lambda x: conv(x, 8, 5, padding=4, dilation=2, groups=8),
    "conv, large kernel": lambda x: conv(x, kernel=31, padding=15, groups=4),
    "transposed": lambda x: transposed(x, (3, 3), stride=2, padding=1, output_padding=1),
    "transposed, kernel 2": lambda x: transposed(x, (2, 2), stride=2),
    "transposed, stride 3, gaps": lambda x: transposed(x, (2, 2), stride=3, output_padding=2),
    "transposed, dilated": lambda x: transposed(x, (3, 5), dilation=2, padding=2),
    "instance norm": lambda x: F.instance_norm(x),
    "batch norm": lambda x: F.batch_norm(x, torch.arange(8.0).double(), torch.arange(1, 9.0).double()),
    "max pool": lambda x: F.max_pool2d(x, 2),
    "average pool": lambda x: F.avg_pool2d(x, 2),
    "pyramid": lambda x: F.interpolate(F.adaptive_avg_pool2d(x, 6), x.shape[-2:], mode="bilinear"),
    "corners aligned": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True),
    "nearest": lambda x: F.interpolate(x, scale_factor=2.0),
    "shuffle": lambda x: F.pixel_unshuffle(F.pixel_shuffle(x, 2)[..., :-3, :], 3),
    "mirrored": lambda x: F.pad(x, (3, 1, 2, 4), mode="reflect"),
    "repeated": lambda x: F.pad(x, (3, 1, 2, 4), mode="replicate"),
    "spectrum": lambda x: torch.fft.irfft2(torch.fft.rfft2(x) * 2, s=x.shape[-2:]) + torch.fft.ifft2(x + 0j).real,
    "layer norm": lambda x: (x - x.mean(1, keepdim=True)) / x.var(1, keepdim=True, correction=0).sqrt(),
    "maxima": lambda x: x.amax((2, 3), keepdim=True) * x.amax(1, keepdim=True) - x.mean((3,), keepdim=True),
    "over everything": lambda x: x.amax() + x.sum((1, 2, 3)) + x.mean() + x.sum((0, 2, 3)).max() + x.var(1).sum(),
    "matrix": lambda x: torch.einsum("ij,njhw->nihw", torch.ones(3, 8).double(), x),
    "attention": lambda x: torch.bmm(x.flatten(2), x[:, :1].flatten(2).softmax(2).mT)[..., None] + x,
    "join": lambda x: torch.cat((x, x * 2, x[:, :1]), 1)[:, [3, 1, 16]],
    "Haar": lambda x: torch.stack((x[..., ::2, ::2], x[..., 1::2, 1::2]), 2).flatten(1, 2),
    "in place": in_place,
    "other type": lambda x: x.to(torch.float32),
    "norm": lambda x: torch.linalg.vector_norm(x, dim=1, keepdim=True).clamp(0, 1),
    "prelu": lambda x: F.prelu(x - 0.5, torch.arange(8.0).double()),
    "broadcast": lambda x: x[..., :1] * x[:, :1],
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation(name, mode, rng):
    x = torch.from_numpy(rng.random((1, 8, 42, 54)))
    with torch.no_grad():
        expected = OPERATIONS[name](x)
        with mode:
            result = OPERATIONS[name](x)
    torch.testing.assert_close(result, expected)
    assert mode.whole <= SMALL


def test_an_operation_without_a_rule_is_made_whole(mode, rng):
    x = torch.from_numpy(rng.random((1, 8, 42, 54)))
    with torch.no_grad(), mode:
        result = x.cumsum(3)
    torch.testing.assert_close(result, x.cumsum(3))
    assert mode.whole == {"aten.cumsum"}


def test_the_work_is_what_the_dry_run_says(tmp_path):
    from ispbench.rendering.demand import demand_of

    model = seasoned("metaisp").float()
    done = []
    with torch.no_grad(), Streamed(Scratch(tmp_path, least=2**11), done.append):
        model(torch.rand(1, 4, 64, 96))
    assert sum(done) == pytest.approx(demand_of(model, 64, 96).work, rel=0.02)
