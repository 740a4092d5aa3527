import lpips
import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as torchmetrics_ms_ssim
from torchmetrics.functional.image import peak_signal_noise_ratio as pooled_psnr

from ispbench.metrics.backbones import WeightsUnavailableError, load_features
from ispbench.metrics.quality import (
    LPIPS,
    MS_SSIM_SIDE,
    MS_SSIM_WEIGHTS,
    PSNR_CAP,
    ms_ssim,
    psnr,
    psnr_channel,
    psnr_luminance,
    quantise,
    ssim,
)

# PSNR: a float32 result. SSIM: scikit-image computes in float64. LPIPS: another order of summation.
TOLERANCE = {"psnr": 1e-4, "ssim": 1e-4, "ms_ssim": 1e-4, "lpips": 1e-5}
SIZES = [(64, 64), (33, 70), (12, 12), (11, 40)]


def pair(size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    reference = torch.rand(2, 3, *size, generator=generator)
    noise = torch.tensor([0.1, 0.02]).view(2, 1, 1, 1) * torch.randn(2, 3, *size, generator=generator)
    return quantise(reference + noise), quantise(reference)


def hwc(image):
    return image.permute(1, 2, 0).numpy().astype(np.float64)


def each(score, images, references):
    return [score(hwc(image), hwc(reference)) for image, reference in zip(images, references, strict=True)]


@pytest.mark.parametrize("size", [*SIZES, (1, 1), (3, 8)])
def test_psnr_is_the_one_of_skimage_image_by_image(size):
    images, references = pair(size)
    expected = each(lambda a, b: min(peak_signal_noise_ratio(b, a, data_range=1), PSNR_CAP), images, references)
    np.testing.assert_allclose(psnr(images, references), expected, atol=TOLERANCE["psnr"])


def test_mean_psnr_is_not_the_pooled_one():
    images, references = pair((64, 64))
    assert psnr(images, references).mean() - pooled_psnr(images, references, data_range=1.0) > 2


def test_identical_images_reach_the_cap():
    image = torch.rand(1, 3, 176, 180)
    for score in (psnr, psnr_channel, psnr_luminance):
        assert score(image, image).item() == PSNR_CAP
    assert ssim(image, image).item() == pytest.approx(1)
    assert ms_ssim(image, image).item() == pytest.approx(1)


def test_constant_images():
    black, grey = torch.zeros(1, 3, 176, 176), torch.full((1, 3, 176, 176), 0.5)
    for score in (psnr, psnr_channel, psnr_luminance):
        assert score(black, grey).item() == pytest.approx(20 * np.log10(2), abs=1e-5)
    luminance = 0.01**2 / (0.5**2 + 0.01**2)
    assert ssim(black, grey).item() == pytest.approx(luminance, abs=1e-6)
    assert ms_ssim(black, grey).item() == pytest.approx(luminance ** MS_SSIM_WEIGHTS[-1], abs=1e-5)


def test_the_mean_of_channel_psnrs():
    images, references = pair((20, 30))
    images[:, 0] += 0.1
    expected = each(
        lambda a, b: np.mean([peak_signal_noise_ratio(b[..., c], a[..., c], data_range=1) for c in range(3)]),
        images,
        references,
    )
    np.testing.assert_allclose(psnr_channel(images, references), expected, atol=TOLERANCE["psnr"])
    assert (psnr_channel(images, references) > psnr(images, references)).all()


def test_the_psnr_of_the_luma():
    images, references = pair((20, 30))
    weights = np.array([0.299, 0.587, 0.114])
    expected = each(lambda a, b: peak_signal_noise_ratio(b @ weights, a @ weights, data_range=1), images, references)
    np.testing.assert_allclose(psnr_luminance(images, references), expected, atol=TOLERANCE["psnr"])


@pytest.mark.parametrize("covariance", ["population", "sample"])
@pytest.mark.parametrize("size", SIZES)
def test_ssim_is_the_one_of_skimage(size, covariance):
    images, references = pair(size)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": covariance == "sample", "win_size": 11}
    expected = each(
        lambda a, b: structural_similarity(a, b, channel_axis=2, data_range=1, **options), images, references
    )
    np.testing.assert_allclose(
        ssim(images, references, covariance=covariance), expected, atol=TOLERANCE["ssim"], rtol=0
    )


def test_ssim_with_a_gradient_is_the_same():
    images, references = pair((24, 30))
    wanted = ssim(images, references)
    value = ssim(images.requires_grad_(), references)
    torch.testing.assert_close(value.detach(), wanted, rtol=0, atol=1e-6)
    value.sum().backward()
    assert images.grad.abs().sum() > 0


def test_ssim_of_an_image_below_the_window_is_refused():
    with pytest.raises(ValueError, match="11x11"):
        ssim(torch.rand(1, 3, 10, 40), torch.rand(1, 3, 10, 40))
    with pytest.raises(ValueError, match="population or sample"):
        ssim(torch.rand(1, 3, 12, 12), torch.rand(1, 3, 12, 12), covariance="biased")


def reference_ms_ssim(image, reference):
    """One channel, in float64 and by the definition."""
    taps = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    taps /= taps.sum()

    def means(values):
        return correlate1d(correlate1d(values, taps, 0), taps, 1)[5:-5, 5:-5]

    result = 1.0
    for scale, weight in enumerate(MS_SSIM_WEIGHTS):
        if scale:
            height, width = (side // 2 * 2 for side in image.shape)
            image, reference = (
                value[:height, :width].reshape(height // 2, 2, width // 2, 2).mean((1, 3))
                for value in (image, reference)
            )
        mx, my = means(image), means(reference)
        vx, vy = means(image**2) - mx**2, means(reference**2) - my**2
        term = (2 * (means(image * reference) - mx * my) + 0.03**2) / (vx + vy + 0.03**2)
        if scale == len(MS_SSIM_WEIGHTS) - 1:
            term = term * (2 * mx * my + 0.01**2) / (mx**2 + my**2 + 0.01**2)
        result *= max(term.mean(), 0) ** weight
    return result


@pytest.mark.parametrize("size", [(176, 176), (190, 257)])
def test_ms_ssim_by_its_definition(size):
    images, references = pair(size)
    expected = each(
        lambda a, b: np.mean([reference_ms_ssim(a[..., c], b[..., c]) for c in range(3)]), images, references
    )
    np.testing.assert_allclose(ms_ssim(images, references), expected, atol=TOLERANCE["ms_ssim"])


def test_ms_ssim_of_grey_images_is_the_one_of_torchmetrics():
    images, references = (value[:, :1].expand(-1, 3, -1, -1) for value in pair((192, 192)))
    expected = torchmetrics_ms_ssim(images, references, data_range=1.0, kernel_size=11, sigma=1.5, reduction="none")
    torch.testing.assert_close(ms_ssim(images, references), expected, atol=TOLERANCE["ms_ssim"], rtol=0)


def test_ms_ssim_is_undefined_on_small_images():
    images, references = pair((MS_SSIM_SIDE - 1, MS_SSIM_SIDE))
    assert ms_ssim(images, references).isnan().all()


def test_quantise_rounds_and_clamps():
    values = torch.tensor([-0.1, 0.0, 0.4 / 255, 0.6 / 255, 1.0, 1.7])
    torch.testing.assert_close(quantise(values) * 255, torch.tensor([0.0, 0, 0, 1, 255, 255]))


def test_half_precision_is_scored_in_float32():
    images, references = pair((32, 32))
    half = images.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        scores = [score(half, references) for score in (psnr, ssim)]
    assert all(score.dtype == torch.float32 for score in scores)
    for score, wanted in zip(scores, (psnr, ssim), strict=True):
        torch.testing.assert_close(score, wanted(half.float(), references), rtol=0, atol=0)


def test_masked_psnr_is_that_of_the_valid_pixels():
    images, references = pair((16, 20))
    mask = torch.zeros(2, 1, 16, 20)
    mask[..., 3:9, 2:15] = 1
    for score in (psnr, psnr_channel, psnr_luminance):
        torch.testing.assert_close(
            score(images, references, mask), score(images[..., 3:9, 2:15], references[..., 3:9, 2:15])
        )


@pytest.mark.parametrize("score", [ssim, ms_ssim])
def test_masked_ssim_is_that_of_the_valid_windows(score):
    images, references = pair((220, 240))
    window = (..., slice(0, 192), slice(0, 208))
    mask = torch.zeros(2, 1, 220, 240)
    mask[window] = 1
    torch.testing.assert_close(
        score(images, references, mask), score(images[window], references[window]), rtol=0, atol=1e-6
    )


def test_a_mask_without_a_valid_pixel_has_no_score():
    images, references = pair((16, 16))
    for score in (psnr, ssim):
        assert score(images, references, torch.zeros(2, 1, 16, 16)).isnan().all()


def load(network, path=None):
    try:
        return LPIPS(network, path)
    except WeightsUnavailableError as error:
        pytest.skip(str(error))


def by_hand(weights):
    """The lpips package with AlexNet's weights put in by hand."""
    reference = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    for index, number in {0: 1, 3: 2, 6: 3, 8: 4, 10: 5}.items():
        layer = getattr(reference.net, f"slice{number}").get_submodule(str(index))
        layer.weight.data, layer.bias.data = weights[f"features.{index}.weight"], weights[f"features.{index}.bias"]
    return reference


@pytest.mark.parametrize("size", [(64, 64), (40, 75)])
def test_lpips_is_the_one_of_the_package(shared, size):
    path = shared / "weights" / "alexnet_features.pth"
    images, references = pair(size)
    expected = by_hand(torch.load(path, weights_only=True))(images * 2 - 1, references * 2 - 1).flatten()
    ours = LPIPS("alex", str(path))(images, references)
    torch.testing.assert_close(ours, expected.detach(), atol=TOLERANCE["lpips"], rtol=0)


@pytest.mark.parametrize("network", ["alex", "vgg"])
def test_lpips_of_identical_and_of_masked_images(network):
    distance = load(network)
    images, references = pair((64, 64))
    assert distance(images, images).abs().max() == 0
    whole, half = torch.ones(2, 1, 64, 64), torch.zeros(2, 1, 64, 64)
    half[..., :32] = 1
    torch.testing.assert_close(distance(images, references, whole), distance(images, references), rtol=1e-4, atol=1e-5)
    changed = images.clone()
    changed[..., 32:] = 0
    torch.testing.assert_close(distance(changed, references, half), distance(images, references, half))


def test_lpips_of_vgg_is_the_one_of_the_package():
    try:
        weights = load_features("vgg16")
    except WeightsUnavailableError as error:
        pytest.skip(str(error))
    reference = lpips.LPIPS(net="vgg", pnet_rand=True, verbose=False)
    slices = {1: (0, 2), 2: (5, 7), 3: (10, 12, 14), 4: (17, 19, 21), 5: (24, 26, 28)}
    for number, layers in slices.items():
        for index in layers:
            layer = getattr(reference.net, f"slice{number}").get_submodule(str(index))
            layer.weight.data, layer.bias.data = weights[f"features.{index}.weight"], weights[f"features.{index}.bias"]
    images, references = pair((48, 60))
    expected = reference(images * 2 - 1, references * 2 - 1).flatten().detach()
    torch.testing.assert_close(LPIPS("vgg")(images, references), expected, atol=TOLERANCE["lpips"], rtol=0)
    assert (expected > 0.001).all()
