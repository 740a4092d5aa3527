import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import peak_signal_noise_ratio as pooled_psnr

from ispbench.metrics.quality import LPIPS, PSNR_CAP, psnr, quantise, ssim

# SSIM: 1e-4 as skimage computes in float64. PSNR: float32 result.
TOLERANCE = {"psnr": 1e-4, "ssim": 1e-4, "lpips": 1e-5}
SIZES = [(64, 64), (33, 70), (12, 12)]


def pair(size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    reference = torch.rand(2, 3, *size, generator=generator)
    noise = torch.tensor([0.1, 0.02]).view(2, 1, 1, 1) * torch.randn(2, 3, *size, generator=generator)
    return quantise(reference + noise), quantise(reference)


def hwc(image):
    return image.permute(1, 2, 0).numpy().astype(np.float64)


@pytest.mark.parametrize("size", SIZES)
def test_psnr_is_the_one_of_skimage_image_by_image(size):
    images, references = pair(size)
    expected = [peak_signal_noise_ratio(hwc(b), hwc(a), data_range=1) for a, b in zip(images, references, strict=True)]
    np.testing.assert_allclose(psnr(images, references), expected, atol=TOLERANCE["psnr"])


def test_mean_psnr_is_not_the_pooled_one():
    images, references = pair((64, 64))
    assert psnr(images, references).mean() - pooled_psnr(images, references, data_range=1.0) > 2


def test_identical_images_reach_the_cap():
    image = torch.rand(1, 3, 16, 16)
    assert psnr(image, image).item() == PSNR_CAP
    assert ssim(image, image).item() == pytest.approx(1)


def test_constant_images():
    black, grey = torch.zeros(1, 3, 16, 16), torch.full((1, 3, 16, 16), 0.5)
    assert psnr(black, grey).item() == pytest.approx(20 * np.log10(2))
    assert ssim(black, black).item() == pytest.approx(1)


@pytest.mark.parametrize("size", SIZES)
def test_ssim_is_the_one_of_skimage(size):
    images, references = pair(size)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "win_size": 11}
    expected = [
        structural_similarity(hwc(a), hwc(b), channel_axis=2, data_range=1, **options)
        for a, b in zip(images, references, strict=True)
    ]
    np.testing.assert_allclose(ssim(images, references), expected, atol=TOLERANCE["ssim"])


def test_scores_do_not_depend_on_the_batch():
    images, references = pair((40, 40))
    for score in (psnr, ssim):
        single = torch.cat([score(images[i : i + 1], references[i : i + 1]) for i in range(2)])
        torch.testing.assert_close(score(images, references), single, rtol=0, atol=1e-6)


def test_quantise_rounds_and_clamps():
    values = torch.tensor([-0.1, 0.0, 0.4 / 255, 0.6 / 255, 1.0, 1.7])
    torch.testing.assert_close(quantise(values) * 255, torch.tensor([0.0, 0, 0, 1, 255, 255]))


def test_lpips_is_the_one_of_the_package(shared):
    """The lpips package with the same weights loaded by hand."""
    import lpips

    path = shared / "weights" / "alexnet_features.pth"
    reference = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    weights = torch.load(path, weights_only=True)
    slices = {0: 1, 3: 2, 6: 3, 8: 4, 10: 5}
    for index, number in slices.items():
        layer = getattr(reference.net, f"slice{number}").get_submodule(str(index))
        layer.weight.data, layer.bias.data = weights[f"features.{index}.weight"], weights[f"features.{index}.bias"]
    images, references = pair((64, 64))
    expected = reference(images * 2 - 1, references * 2 - 1).flatten()
    ours = LPIPS("alex", str(path))(images, references)
    torch.testing.assert_close(ours, expected.detach(), atol=TOLERANCE["lpips"], rtol=0)
