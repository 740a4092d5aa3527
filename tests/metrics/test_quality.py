import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio
from torchmetrics.functional.image import peak_signal_noise_ratio as pooled_psnr

from ispbench.metrics.quality import PSNR_CAP, psnr, psnr_channel, psnr_color_fitted, psnr_luminance, quantize
from tests.metrics.pairs import each, pair

TOLERANCE = 1e-4  # of a float32 result
SIZES = [(64, 64), (33, 70), (12, 12), (11, 40)]


@pytest.mark.parametrize("size", [*SIZES, (1, 1), (3, 8)])
def test_psnr_is_the_one_of_skimage_image_by_image(size):
    images, references = pair(size)
    expected = each(lambda a, b: min(peak_signal_noise_ratio(b, a, data_range=1), PSNR_CAP), images, references)
    np.testing.assert_allclose(psnr(images, references), expected, atol=TOLERANCE)


def test_mean_psnr_is_not_the_pooled_one():
    images, references = pair((64, 64))
    assert psnr(images, references).mean() - pooled_psnr(images, references, data_range=1.0) > 2


def test_identical_images_reach_the_cap():
    image = torch.rand(1, 3, 176, 180)
    for score in (psnr, psnr_channel, psnr_luminance, psnr_color_fitted):
        assert score(image, image).item() == PSNR_CAP


def test_constant_images():
    black, gray = torch.zeros(1, 3, 176, 176), torch.full((1, 3, 176, 176), 0.5)
    for score in (psnr, psnr_channel, psnr_luminance):
        assert score(black, gray).item() == pytest.approx(20 * np.log10(2), abs=1e-5)


def test_the_mean_of_channel_psnrs():
    images, references = pair((20, 30))
    images[:, 0] += 0.1
    expected = each(
        lambda a, b: np.mean([peak_signal_noise_ratio(b[..., c], a[..., c], data_range=1) for c in range(3)]),
        images,
        references,
    )
    np.testing.assert_allclose(psnr_channel(images, references), expected, atol=TOLERANCE)
    assert (psnr_channel(images, references) > psnr(images, references)).all()


def test_the_psnr_of_the_luma():
    images, references = pair((20, 30))
    weights = np.array([0.299, 0.587, 0.114])
    expected = each(lambda a, b: peak_signal_noise_ratio(b @ weights, a @ weights, data_range=1), images, references)
    np.testing.assert_allclose(psnr_luminance(images, references), expected, atol=TOLERANCE)


def test_quantize_rounds_and_clamps():
    values = torch.tensor([-0.1, 0.0, 0.4 / 255, 0.6 / 255, 1.0, 1.7])
    torch.testing.assert_close(quantize(values) * 255, torch.tensor([0.0, 0, 0, 1, 255, 255]))


def test_half_precision_is_scored_in_float32():
    images, references = pair((32, 32))
    half = images.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        score = psnr(half, references)
    assert score.dtype == torch.float32
    torch.testing.assert_close(score, psnr(half.float(), references), rtol=0, atol=0)


def test_masked_psnr_is_that_of_the_valid_pixels():
    images, references = pair((16, 20))
    mask = torch.zeros(2, 1, 16, 20)
    mask[..., 3:9, 2:15] = 1
    for score in (psnr, psnr_channel, psnr_luminance, psnr_color_fitted):
        torch.testing.assert_close(
            score(images, references, mask), score(images[..., 3:9, 2:15], references[..., 3:9, 2:15])
        )


def test_a_mask_without_a_valid_pixel_has_no_score():
    images, references = pair((16, 16))
    for score in (psnr, psnr_channel, psnr_luminance, psnr_color_fitted):
        assert score(images, references, torch.zeros(2, 1, 16, 16)).isnan().all()
