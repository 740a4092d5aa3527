import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
import skimage
import torch
import torchvision
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ispbench.config import choices, compose
from ispbench.errors import UserError
from ispbench.losses.color import BlurredChromaLoss, ColorAngleLoss
from ispbench.losses.perceptual import LPIPSLoss, PerceptualLoss
from ispbench.losses.pixel import Charbonnier, OutlierAwareL1, PSNRLoss, TotalVariation
from ispbench.losses.spectral import FourierLoss, SpectralPartLoss
from ispbench.losses.structural import MSSSIMLoss, SSIMLoss
from ispbench.losses.weighted_sum import WeightedSum
from ispbench.metrics.backbones import WeightsUnavailableError, load_features
from tests.toys import L1, toy_loss

SIZE = (2, 3, 32, 48)


@pytest.fixture
def pair(rng):
    """An image that leaves [0, 1] here and there, and its target."""
    target = rng.random(SIZE).astype(np.float32)
    image = (target + rng.normal(0, 0.2, SIZE)).astype(np.float32)
    return torch.from_numpy(image), torch.from_numpy(target)


def arrays(pair):
    return [x.double().numpy() for x in pair]


def test_charbonnier(pair):
    x, y = arrays(pair)
    expected = np.sqrt((x - y) ** 2 + 1e-6)
    assert Charbonnier(1e-3)(*pair).item() == pytest.approx(expected.mean(), rel=1e-5)
    assert Charbonnier(1e-3, "sum")(*pair).item() == pytest.approx(expected.sum(), rel=1e-5)
    with pytest.raises(UserError, match="mean or sum, not 'max'"):
        Charbonnier(reduction="max")


def test_psnr(pair):
    x, y = arrays(pair)
    expected = -np.mean(
        [skimage.metrics.peak_signal_noise_ratio(b, a, data_range=1) for a, b in zip(x, y, strict=True)]
    )
    assert PSNRLoss()(*pair).item() == pytest.approx(expected, rel=1e-5)
    assert PSNRLoss()(pair[1], pair[1]).item() == pytest.approx(-80)


def test_outlier_aware_l1(pair):
    x, y = arrays(pair)
    total = []
    for channel in (x - y).reshape(-1, SIZE[2] * SIZE[3]):
        b = channel.std(ddof=1) / np.sqrt(2)
        total += list(np.abs(channel) * (1 - np.exp(-np.abs(channel - channel.mean()) / b)))
    assert OutlierAwareL1()(*pair).item() == pytest.approx(np.mean(total), rel=1e-5)


def test_local_variance_weighted_l1(pair):
    x, y = arrays(pair)
    total = []
    for channel in (x - y).reshape(-1, SIZE[2] * SIZE[3]):
        b = channel.std(ddof=1) / np.sqrt(2)
        total += list(np.abs(channel) * np.tanh(np.abs(channel - channel.mean()) / (b + 1e-6)))
    assert OutlierAwareL1("tanh")(*pair).item() == pytest.approx(np.mean(total), rel=1e-5)
    with pytest.raises(UserError, match="exp or tanh, not 'sine'"):
        OutlierAwareL1("sine")


def test_total_variation_is_the_mean_square_of_differences(pair):
    x, _ = arrays(pair)
    expected = (np.diff(x, axis=2) ** 2).mean() + (np.diff(x, axis=3) ** 2).mean()
    assert TotalVariation()(*pair).item() == pytest.approx(expected, rel=1e-5)


def test_no_gradient_passes_through_the_weight_of_an_outlier(pair):
    image = pair[0].clone().requires_grad_()
    OutlierAwareL1()(image, pair[1]).backward()
    error = (pair[0] - pair[1]).numpy()
    b = error.std((2, 3), keepdims=True, ddof=1) / np.sqrt(2)
    weight = 1 - np.exp(-np.abs(error - error.mean((2, 3), keepdims=True)) / b)
    np.testing.assert_allclose(image.grad.numpy(), np.sign(error) * weight / error.size, atol=1e-8)


def test_equal_images_have_no_outliers(pair):
    image = pair[1].clone().requires_grad_()
    value = OutlierAwareL1()(image, pair[1])
    value.backward()
    assert value.item() == 0
    assert image.grad.isfinite().all()


def skimage_ssim(x, y, border):
    values = []
    for a, b in zip(x, y, strict=True):
        a, b = (np.pad(z, ((0, 0), (border, border), (border, border))) for z in (a, b))
        _, full = skimage.metrics.structural_similarity(
            a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1, channel_axis=0, full=True
        )
        values.append(full[:, 5:-5, 5:-5].mean())
    return np.mean(values)


@pytest.mark.parametrize("padding, border", [("valid", 0), ("zero", 5)])
def test_ssim(pair, padding, border):
    expected = 1 - skimage_ssim(*arrays(pair), border)
    assert SSIMLoss(padding)(*pair).item() == pytest.approx(expected, abs=2e-5)


def test_ssim_wants_windows():
    with pytest.raises(UserError, match="valid or zero, not 'reflect'"):
        SSIMLoss("reflect")
    small = torch.rand(1, 3, 8, 8)
    with pytest.raises(UserError, match="11 pixels, not 8"):
        SSIMLoss()(small, small)
    assert SSIMLoss("zero")(small, small).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("gray", [False, True])
def test_ms_ssim(rng, gray):
    reference = pytest.importorskip("pytorch_msssim")
    target = torch.from_numpy(skimage.filters.gaussian(rng.random((2, 3, 192, 180)), (0, 0, 2, 2))).float()
    image = target + 0.05 * torch.randn(target.shape, generator=torch.Generator().manual_seed(0))
    x, y = image, target
    if gray:
        x, y = ((0.2989 * z[:, :1] + 0.587 * z[:, 1:2] + 0.114 * z[:, 2:]) for z in (image, target))
    expected = 1 - reference.ms_ssim(x, y, data_range=1.0).item()
    assert MSSSIMLoss(gray)(image, target).item() == pytest.approx(expected, abs=2e-3)
    assert MSSSIMLoss(gray)(target, target).item() == pytest.approx(0, abs=1e-5)


def test_ms_ssim_names_the_smallest_patch(pair):
    with pytest.raises(UserError, match="above 160 pixels, not 32"):
        MSSSIMLoss()(*pair)


@pytest.mark.parametrize("clamp", [False, True])
def test_color_angle(pair, clamp):
    x, y = arrays(pair)
    x = x.clip(0, 1) if clamp else x
    cosine = (x * y).sum(1) / np.maximum(np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1), 1e-8)
    assert ColorAngleLoss(clamp, 1e-8)(*pair).item() == pytest.approx(1 - cosine.mean(), abs=1e-5)


@settings(max_examples=20, deadline=None)
@given(gain=st.floats(0.1, 4.0))
def test_color_angle_ignores_brightness(gain):
    target = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(1)) + 0.1
    assert ColorAngleLoss()(gain * target, target).item() == pytest.approx(0, abs=1e-5)


def test_blurred_chroma(pair):
    interval = (2 * 3 + 1) / 21
    edges = np.linspace(-3 - interval / 2, 3 + interval / 2, 22)
    taps = np.diff(scipy.stats.norm.cdf(edges))
    kernel = np.sqrt(np.outer(taps, taps))
    kernel /= kernel.sum()
    x, y = arrays(pair)
    expected = []
    for a, b in zip(x, y, strict=True):
        difference = skimage.color.rgb2yuv((a - b).transpose(1, 2, 0))[..., 1:]
        expected += [np.abs(scipy.ndimage.convolve(difference[..., c], kernel, mode="constant")).mean() for c in (0, 1)]
    assert BlurredChromaLoss()(*pair).item() == pytest.approx(np.mean(expected), rel=1e-4)


def test_fourier(pair):
    x, y = (np.fft.rfft2(z) for z in arrays(pair))
    expected = (np.abs((x - y).real).mean() + np.abs((x - y).imag).mean()) / 2
    assert FourierLoss()(*pair).item() == pytest.approx(expected, rel=1e-5)


def test_phase_and_amplitude_compare_a_side_output_with_the_whole_target(pair):
    spectrum = np.fft.rfft2(arrays(pair)[1])
    output = torch.randn(spectrum.shape, generator=torch.Generator().manual_seed(0))
    for part, wanted in (("phase", np.angle(spectrum)), ("amplitude", np.abs(spectrum))):
        term = {"_target_": "ispbench.losses.spectral.SpectralPartLoss", "part": part}
        loss = WeightedSum({"l1": 1.0}, {**L1, part: term}, [{part: 0.5}])
        values = loss((pair[0], output), pair[1])
        expected = np.abs(output.numpy() - wanted)
        if part == "phase":  # real bins below zero have the phase +pi or -pi, as rounding will have it
            expected = expected[np.abs(spectrum.imag) > 1e-6]
            assert values["phase_1"].item() == pytest.approx(expected.mean(), rel=2e-2)
        else:
            assert values["amplitude_1"].item() == pytest.approx(expected.mean(), rel=1e-5)


def test_phase_and_amplitude_refuse_what_they_cannot_compare():
    with pytest.raises(UserError, match="phase or amplitude, not 'power'"):
        SpectralPartLoss("power")
    with pytest.raises(UserError, match="multiples of 16, not 24x32"):
        SpectralPartLoss("phase")(torch.rand(1, 3, 24, 17), torch.rand(1, 3, 24, 32))
    with pytest.raises(UserError, match="model=fourierisp"):
        SpectralPartLoss("phase")(torch.rand(1, 3, 16, 16), torch.rand(1, 3, 32, 32))


@pytest.fixture(scope="module")
def vgg(tmp_path_factory):
    """Random VGG weights in torchvision's format, and the layers that have them."""
    found = {}
    for name, letter in (("vgg16", "D"), ("vgg19", "E")):
        torch.manual_seed(0)
        layers = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs[letter])
        path = tmp_path_factory.mktemp("vgg") / f"{name}.pth"
        torch.save({f"features.{key}": value for key, value in layers.state_dict().items()}, path)
        found[name] = (str(path), layers)
    return found


def test_perceptual_loss_of_awnet(pair, vgg):
    path, layers = vgg["vgg16"]
    loss = PerceptualLoss("vgg16", layer=30, distance="l2", normalize=False, divisor=3.0, weights=path)
    with torch.no_grad():
        expected = nn.functional.mse_loss(layers[:31](pair[0]), layers[:31](pair[1])) / 3
    torch.testing.assert_close(loss(*pair), expected)


def test_perceptual_loss_of_liteispnet(pair, vgg):
    path, layers = vgg["vgg19"]
    assert sum(isinstance(layer, nn.ReLU) for layer in layers[:36]) == 16  # relu5_4 is the sixteenth
    normalize = torchvision.transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    halves = [nn.functional.interpolate(x, scale_factor=0.5, mode="bilinear") for x in pair]
    with torch.no_grad():
        expected = nn.functional.l1_loss(*(layers[:36](normalize(x)) for x in halves))
    torch.testing.assert_close(PerceptualLoss(scale=0.5, weights=path)(*pair), expected)


def test_perceptual_loss_refuses_what_it_cannot_do(vgg):
    with pytest.raises(UserError, match="l1 or l2, not 'cosine'"):
        PerceptualLoss(distance="cosine")
    with pytest.raises(UserError, match="vgg16 or vgg19, not 'vgg11'"):
        PerceptualLoss("vgg11")
    small = torch.rand(1, 3, 16, 16)
    with pytest.raises(UserError, match="32 pixels a side at every scale it weighs, not 16"):
        PerceptualLoss("vgg16", layer=30, weights=vgg["vgg16"][0])(small, small)


def test_lpips_is_the_mean_of_the_metric(pair):
    try:
        load_features("alexnet")
    except WeightsUnavailableError as error:
        pytest.skip(str(error))
    from ispbench.metrics.perceptual import LPIPS

    image, target = (nn.functional.interpolate(x, size=64) for x in pair)
    torch.testing.assert_close(LPIPSLoss("alex")(image, target), LPIPS("alex")(image, target).mean())


# The weighted sum


def test_the_sum_is_weighted_and_names_each_term(pair):
    values = toy_loss(l1=2.0, mse=0.5)(pair[:1], pair[1])
    x, y = arrays(pair)
    assert values["l1"].item() == pytest.approx(np.abs(x - y).mean(), rel=1e-5)
    assert values["loss"].item() == pytest.approx(2 * np.abs(x - y).mean() + 0.5 * ((x - y) ** 2).mean(), rel=1e-5)
    assert set(values) == {"loss", "l1", "mse"}


def test_an_unknown_term_names_the_valid_ones():
    with pytest.raises(UserError, match=r"Unknown loss l3; terms are l1, mse\."):
        WeightedSum({"l1": 1, "l3": 1}, L1)


def test_a_sum_of_nothing_is_refused():
    with pytest.raises(UserError, match=r"no term: give one a weight, such as loss\.weights\.l1=1"):
        WeightedSum({"l1": 0}, L1)


def test_a_term_of_weight_zero_is_not_built():
    terms = {**L1, "costly": {"_target_": "no.such.Thing"}}
    assert set(WeightedSum({"l1": 1, "costly": 0}, terms, [{"mse": 1, "costly": 0}]).terms) == {"l1", "mse"}


@pytest.mark.parametrize("resize", ["bilinear", "nearest"])
def test_side_outputs_meet_the_target_at_their_size(pair, resize):
    image, target = pair
    sides = [torch.rand(2, 3, 16, 24), torch.rand(2, 3, 8, 12)]
    loss = WeightedSum({"l1": 1.0}, L1, [{"mse": 0.5}, {"l1": 0.25}], resize=resize)
    values = loss((image, *sides), target)
    for number, (name, side) in enumerate(zip(("mse", "l1"), sides, strict=True), 1):
        if resize == "nearest":
            wanted = target[..., :: 2**number, :: 2**number]
        else:  # antialiased bilinear, as Pillow resizes
            size = side.shape[-2:]
            wanted = torchvision.transforms.functional.resize(target, list(size), antialias=True)
        function = nn.functional.mse_loss if name == "mse" else nn.functional.l1_loss
        torch.testing.assert_close(values[f"{name}_{number}"], function(side, wanted))
    total = values["l1"] + 0.5 * values["mse_1"] + 0.25 * values["l1_2"]
    torch.testing.assert_close(values["loss"], total)


def test_more_side_weights_than_side_outputs_are_refused(pair):
    with pytest.raises(UserError, match="weighs 2 side outputs, but the model has 1"):
        WeightedSum({"l1": 1}, L1, [{"l1": 1}, {"l1": 1}])((pair[0], pair[0]), pair[1])


def test_an_unknown_resize_is_refused():
    with pytest.raises(UserError, match="bilinear or nearest, not 'area'"):
        WeightedSum({"l1": 1}, L1, resize="area")


def test_weights_can_change_within_the_terms_that_were_built(pair):
    loss = toy_loss(l1=1.0, mse=1.0)
    loss.reweigh({"l1": 0, "mse": 3.0})
    torch.testing.assert_close(loss(pair[:1], pair[1])["loss"], 3 * nn.functional.mse_loss(*pair))
    for weights in ({"ssim": 1.0}, {"l1": 0.0}):
        with pytest.raises(UserError, match="own terms: l1, mse"):
            loss.reweigh(weights)


def test_networks_inside_a_loss_are_frozen_and_not_saved(vgg):
    term = {"_target_": "ispbench.losses.perceptual.PerceptualLoss", "network": "vgg16", "weights": vgg["vgg16"][0]}
    loss = WeightedSum({"vgg": 1.0}, {"vgg": term})
    assert not list(loss.parameters())
    assert not loss.state_dict()
    assert not any(value.requires_grad for value in loss.terms["vgg"].parameters())
    loss.train()
    assert not loss.terms["vgg"].training
    loss.double()
    assert loss.terms["vgg"].mean.dtype == torch.float64


@pytest.mark.parametrize("name", choices("loss"))
def test_every_shipped_loss_builds_and_is_zero_or_least_for_the_target_itself(name, vgg):
    smaller = [
        f"loss.terms.{term}.{key}={value}"
        for term in ("vgg", "lightness")
        for key, value in (("network", "vgg16"), ("weights", vgg["vgg16"][0]))
    ]
    config = compose([f"loss={name}", *smaller])
    if config.loss.weights.lpips:
        config.loss.weights.lpips = 0  # its weights may have to be downloaded
    loss = instantiate(config.loss)
    torch.manual_seed(0)
    target = torch.rand(1, 3, 192, 192) * 0.8 + 0.1
    outputs = [[image] for image in (target, (target + 0.1 * torch.randn_like(target)).requires_grad_())]
    spectra = name == "fourierisp"
    for chosen in outputs:
        for number in range(1, len(loss.scales)):
            spectrum = torch.fft.rfft2(chosen[0])
            side = nn.functional.interpolate(chosen[0], scale_factor=0.5**number)
            chosen.append((spectrum.angle() if number == 1 else spectrum.abs()) if spectra else side)
    same, other = (loss(chosen, target)["loss"] for chosen in outputs)
    other.backward()
    assert outputs[1][0].grad.isfinite().all()
    assert same < other
    assert same.isfinite()


def test_balanced_terms_pull_by_their_weights_alone(pair):
    layer = nn.Conv2d(3, 3, 1)
    terms = {"l1": {"_target_": "torch.nn.L1Loss"}, "mse": {"_target_": "torch.nn.MSELoss"}}
    loss = WeightedSum({"l1": 3.0, "mse": 0.5}, terms, balance="gradient")
    image, target = pair

    def gradient(value):
        return torch.cat([g.flatten() for g in torch.autograd.grad(value, list(layer.parameters()))])

    parts = [gradient(term(layer(image), target)) for term in (nn.L1Loss(), nn.MSELoss())]
    expected = sum(weight * part / part.norm() for weight, part in zip((3.0, 0.5), parts, strict=True))
    values = loss([layer(image)], target, list(layer.parameters()))
    torch.testing.assert_close(gradient(values["loss"]), expected)
    assert values["mse"].item() == pytest.approx(nn.MSELoss()(layer(image), target).item())
    plain = loss([layer(image)], target)["loss"].item()
    assert plain == pytest.approx(3 * values["l1"].item() + 0.5 * values["mse"].item())
    with pytest.raises(UserError, match="null or gradient, not 'norm'"):
        WeightedSum({"l1": 1.0}, terms, balance="norm")
