import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import convolve

from ispbench.baselines.fourierisp.blocks import FourierBlock, SpectralAdaptation
from ispbench.baselines.fourierisp.model import FourierISP
from ispbench.baselines.fourierisp.official import never_used
from ispbench.baselines.fourierisp.spectrum import from_polar, to_polar
from ispbench.errors import UserError
from ispbench.raw.levels import normalize_raw

RED_BLUE = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4
GREEN = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return FourierISP(width=4)


def test_the_inputs_are_those_of_the_authors(model):
    mosaic = np.random.default_rng(0).integers(40, 1020, (16, 24)).astype(np.float32)
    normalised = np.maximum(mosaic - 63, 0) / (1020 - 63)
    packed = np.stack([normalised[y::2, x::2] for y, x in ((1, 1), (0, 1), (0, 0), (1, 0))])
    planes = []
    for sites, kernel in (([(0, 0)], RED_BLUE), ([(0, 1), (1, 0)], GREEN), ([(1, 1)], RED_BLUE)):
        plane = np.zeros_like(normalised)
        for y, x in sites:
            plane[y::2, x::2] = normalised[y::2, x::2]
        planes.append(convolve(plane, kernel, mode="mirror"))

    raw = normalize_raw(F.pixel_unshuffle(torch.from_numpy(mosaic)[None, None], 2), 63, 1020)
    assert raw.min() < 0
    inputs, demosaic = model.net_inputs(raw)
    assert np.allclose(inputs[0], packed, atol=1e-6)
    assert np.allclose(demosaic[0], np.stack(planes), atol=1e-6)


@pytest.mark.parametrize("size", [(8, 8), (6, 14), (7, 8), (5, 1)])
def test_polar_form_goes_back_to_the_map(size):
    x = torch.randn(2, 3, *size)
    for half in (False, True):
        amplitude, phase = to_polar(x, half)
        assert torch.allclose(from_polar(amplitude, phase, x.shape if half else None), x, atol=1e-5)


@pytest.mark.parametrize("size", [(8, 8), (14, 30), (56, 50)])
def test_the_phase_of_a_negative_real_bin_is_plus_pi(size):
    height, width = size
    x = torch.randn(8, 4, height, width)
    for half in (False, True):
        phase = to_polar(x, half)[1][..., :: height // 2, :: width // 2]
        assert phase.shape[-2:] == (2, 2)
        assert phase.max().item() == pytest.approx(math.pi)
        assert set(phase.unique().tolist()) == {0.0, phase.max().item()}


@pytest.mark.parametrize("corrects", ["phase", "amplitude"])
def test_a_fourier_branch_that_changes_nothing_doubles_the_projection(corrects):
    block = FourierBlock(3, 4, corrects)
    with torch.no_grad():
        for layer in (block.correction[0], block.correction[2]):
            layer.weight.copy_(torch.eye(4)[:, :, None, None])
            layer.bias.zero_()
        # Keeps the input of the leaky ReLU positive.
        block.correction[0].bias.fill_(10)
        block.correction[2].bias.fill_(-10)
        x = torch.randn(1, 3, 8, 8)
        plain = FourierBlock(3, 4)
        plain.load_state_dict(block.state_dict(), strict=False)
        assert torch.allclose(block(x), plain(x) + plain.identity(x), atol=1e-4)


def test_spectra_stay_in_float32_under_autocast(model):
    seen = []
    modules = [m for m in model.net.modules() if isinstance(m, SpectralAdaptation)]
    modules += [m for m in model.net.modules() if isinstance(m, FourierBlock) and m.corrects]
    layers = [getattr(m, "correction", None) or m.cat for m in modules]
    hooks = [layer.register_forward_hook(lambda _, __, out: seen.append(out.dtype)) for layer in layers]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        image = model(torch.rand(1, 4, 16, 16))
    for hook in hooks:
        hook.remove()
    assert seen == [torch.float32] * 11
    assert image.isfinite().all()


def test_training_gives_the_two_spectra(model):
    model.train()
    raw = torch.rand(1, 4, 16, 24)
    image, phase, amplitude = model.forward_scales(raw)
    assert image.shape == (1, 3, 32, 48)
    assert phase.shape == amplitude.shape == (1, 3, 32, 25)
    assert phase.abs().max() <= math.pi + 1e-6
    assert amplitude.min() >= 0
    model.eval()
    assert len(model.forward_scales(raw)) == 1


def test_the_layers_that_are_never_used():
    layers = never_used(24)
    assert sum(value.numel() for value in layers.parameters()) == 1_706_280
    assert len(layers.state_dict()) == 155


def test_official_names_are_told_apart(model):
    official = {
        "conv_01.1.identity.weight": "unused.conv_01/1/identity.weight",
        "down_path_2.0.identity.weight": "colour.encoder.0.identity.weight",
        "p_net.down_path_1.1.downsample.weight": "phase.down.1.weight",
        "down_path_1.2.conv_fft_2.bias": "amplitude.encoder.2.correction.2.bias",
        "cas.adj2.frequency_process.sft.convmul.bias": "adapt.1.frequency.convmul.bias",
        "cas.adj2.down.weight": "colour_down.1.weight",
        "cas.adj3.down.weight": "unused.cas/adj3/down.weight",
        "last2.process.0.process.2.bias": "refine.1.attention.process.2.bias",
    }
    assert model.official_state_dict(dict.fromkeys(official, 0)) == dict.fromkeys(official.values(), 0)
    assert set(official.values()) <= set(model.net.state_dict())


@pytest.mark.parametrize("width", [0, 6, 2.0])
def test_another_width_is_refused(width):
    with pytest.raises(UserError, match="multiple of 4"):
        FourierISP(width)
