import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d
from skimage.metrics import structural_similarity
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as torchmetrics_ms_ssim

from ispbench.metrics import fast_similarity, similarity
from ispbench.metrics.quality import quantize
from ispbench.metrics.similarity import MS_SSIM_SIDE, MS_SSIM_WEIGHTS
from tests.metrics.pairs import each, pair

TOLERANCE = {similarity: 1e-6, fast_similarity: 1e-4}  # of a float32 result, and of float32 throughout
SIZES = [(64, 64), (33, 70), (12, 12), (11, 40)]


@pytest.fixture(params=[similarity, fast_similarity], ids=["plain", "fast"])
def code(request):
    return request.param


@pytest.mark.parametrize("covariance", ["population", "sample"])
@pytest.mark.parametrize("size", SIZES)
def test_ssim_is_the_one_of_skimage(code, size, covariance):
    images, references = pair(size)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": covariance == "sample", "win_size": 11}
    expected = each(
        lambda a, b: structural_similarity(a, b, channel_axis=2, data_range=1, **options), images, references
    )
    found = code.ssim(images, references, covariance=covariance)
    np.testing.assert_allclose(found, expected, atol=TOLERANCE[code], rtol=0)


def test_ssim_with_a_gradient_is_the_same(code):
    images, references = pair((24, 30))
    wanted = code.ssim(images, references)
    value = code.ssim(images.requires_grad_(), references)
    torch.testing.assert_close(value.detach(), wanted, rtol=0, atol=1e-6)
    value.sum().backward()
    assert images.grad.abs().sum() > 0


def test_ssim_of_an_image_below_the_window_is_refused(code):
    with pytest.raises(ValueError, match="11x11"):
        code.ssim(torch.rand(1, 3, 10, 40), torch.rand(1, 3, 10, 40))
    with pytest.raises(ValueError, match="population or sample"):
        code.ssim(torch.rand(1, 3, 12, 12), torch.rand(1, 3, 12, 12), covariance="biased")


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
def test_ms_ssim_by_its_definition(code, size):
    images, references = pair(size)
    expected = each(
        lambda a, b: np.mean([reference_ms_ssim(a[..., c], b[..., c]) for c in range(3)]), images, references
    )
    np.testing.assert_allclose(code.ms_ssim(images, references), expected, atol=1e-4)


def test_ms_ssim_of_gray_images_is_the_one_of_torchmetrics(code):
    images, references = (value[:, :1].expand(-1, 3, -1, -1) for value in pair((192, 192)))
    expected = torchmetrics_ms_ssim(images, references, data_range=1.0, kernel_size=11, sigma=1.5, reduction="none")
    torch.testing.assert_close(code.ms_ssim(images, references), expected, atol=1e-4, rtol=0)


def test_ms_ssim_is_undefined_on_small_images(code):
    images, references = pair((MS_SSIM_SIDE - 1, MS_SSIM_SIDE))
    assert code.ms_ssim(images, references).isnan().all()


@pytest.mark.parametrize("name", ["ssim", "ms_ssim"])
def test_masked_ssim_is_that_of_the_valid_windows(code, name):
    score = getattr(code, name)
    images, references = pair((220, 240))
    window = (..., slice(0, 192), slice(0, 208))
    mask = torch.zeros(2, 1, 220, 240)
    mask[window] = 1
    torch.testing.assert_close(
        score(images, references, mask), score(images[window], references[window]), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("name", ["ssim", "ms_ssim"])
def test_identical_and_constant_images(code, name):
    score = getattr(code, name)
    image = torch.rand(1, 3, 176, 180)
    assert score(image, image).item() == pytest.approx(1)
    black, gray = torch.zeros(1, 3, 176, 176), torch.full((1, 3, 176, 176), 0.5)
    luminance = 0.01**2 / (0.5**2 + 0.01**2)
    wanted = luminance if name == "ssim" else luminance ** MS_SSIM_WEIGHTS[-1]
    assert score(black, gray).item() == pytest.approx(wanted, abs=1e-5)


def test_half_precision_is_scored_as_if_it_were_float32(code):
    images, references = pair((32, 32))
    half = images.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        score = code.ssim(half, references)
    assert score.dtype == torch.float32
    torch.testing.assert_close(score, code.ssim(half.float(), references), rtol=0, atol=0)


def test_a_mask_without_a_valid_window_has_no_score(code):
    images, references = pair((16, 16))
    assert code.ssim(images, references, torch.zeros(2, 1, 16, 16)).isnan().all()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("masked", [False, True])
def test_the_fast_path_agrees_where_float32_is_hardest(threads, masked):
    """Bright flat images of more than one strip: their variances are small differences of large numbers."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.tensor([0.5, 0.9]).view(2, 1, 1, 1) + 0.02 * torch.rand(2, 3, 12, 12, generator=generator)
    references = torch.nn.functional.interpolate(coarse, (391, 402), mode="bicubic")
    images = quantize(references + 0.02 * torch.randn(references.shape, generator=generator))
    mask = torch.zeros(2, 1, 391, 402) if masked else None
    if masked:
        mask[0, :, 7:380, 30:], mask[1, :, :, 50:] = 1, 1
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for name, options in (("ssim", {}), ("ssim", {"covariance": "sample"}), ("ms_ssim", {})):
            plain, fast = (
                getattr(code, name)(images, quantize(references), mask, **options)
                for code in (similarity, fast_similarity)
            )
            torch.testing.assert_close(fast, plain, rtol=0, atol=TOLERANCE[fast_similarity])
    finally:
        torch.set_num_threads(before)
