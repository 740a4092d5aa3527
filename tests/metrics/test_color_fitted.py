"""PSNR after the best affine color map, against NumPy's least squares and by its properties."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from ispbench.metrics.quality import PSNR_CAP, fit_colors, psnr, psnr_color_fitted, quantize
from tests.metrics.pairs import pair


def by_numpy(image, reference, valid):
    """One image, shape (3, H, W), and its valid pixels, shape (H, W)."""
    x, y = (value[:, valid].T.double().numpy() for value in (image, reference))
    x = np.column_stack((x, np.ones(len(x))))
    fitted = x @ np.linalg.lstsq(x, y, rcond=None)[0]
    return -10 * np.log10(((fitted.clip(0, 1) - y) ** 2).mean())


def tinted(size=(20, 30)):
    """Images whose colors are mixed and shifted, with noise."""
    images, references = pair(size)
    mix = torch.tensor([[0.7, 0.2, 0.0], [0.1, 0.5, 0.1], [0.0, 0.3, 0.6]])
    return quantize(torch.einsum("ij,njhw->nihw", mix, images) + 0.1), references


@pytest.mark.parametrize("masked", [False, True])
def test_it_is_the_least_squares_of_numpy(masked):
    images, references = tinted()
    valid = torch.ones(2, 20, 30, dtype=torch.bool)
    if masked:
        valid[0, 5:] = valid[1, :, :7] = False
    wanted = [by_numpy(*values) for values in zip(images, references, valid, strict=True)]
    mask = valid[:, None].float() if masked else None
    np.testing.assert_allclose(psnr_color_fitted(images, references, mask), wanted, rtol=1e-6)


def test_the_map_is_the_one_of_sklearn():
    images, references = tinted()
    for image, reference, fitted in zip(images, references, fit_colors(images, references), strict=True):
        x, y = (value.flatten(1).T.double().numpy() for value in (image, reference))
        wanted = LinearRegression().fit(x, y).predict(x).clip(0, 1)
        np.testing.assert_allclose(fitted.flatten(1).T, wanted, atol=1e-10)


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_a_constant_image_is_fitted_by_the_mean_color(level):
    _, references = pair((16, 16))
    means = references.mean((2, 3), keepdim=True).expand_as(references)
    found = psnr_color_fitted(torch.full_like(references, level), references)
    torch.testing.assert_close(found, psnr(means, references))


def test_gray_images_leave_the_map_undetermined_but_not_the_score():
    images, references = pair((16, 16))
    gray = images[:, :1].expand_as(images)
    valid = torch.ones(16, 16, dtype=torch.bool)
    wanted = [by_numpy(image, reference, valid) for image, reference in zip(gray, references, strict=True)]
    np.testing.assert_allclose(psnr_color_fitted(gray, references), wanted, rtol=1e-6)


def test_it_tells_texture_from_color():
    _, references = pair((32, 32))
    darker = 0.5 * references + 0.1
    noisy = quantize(references + 0.1 * torch.randn(references.shape, generator=torch.Generator().manual_seed(2)))
    assert (psnr(darker, references) < psnr(noisy, references)).all()
    assert (psnr_color_fitted(darker, references) == PSNR_CAP).all()
    assert (psnr_color_fitted(noisy, references) < 25).all()


eight_bits = st.integers(0, 255)
image = st.lists(st.tuples(eight_bits, eight_bits, eight_bits), min_size=12, max_size=12).map(
    lambda pixels: torch.tensor(pixels).T.reshape(1, 3, 3, 4) / 255
)


@settings(deadline=None)
@given(image, image)
def test_it_is_never_below_psnr(output, target):
    assert psnr_color_fitted(output, target) >= psnr(output, target) - 1e-4


@settings(deadline=None)
@given(image)
def test_identical_images_reach_the_cap(output):
    assert psnr_color_fitted(output, output) == PSNR_CAP


@settings(deadline=None)
@given(
    image, st.lists(st.floats(-0.3, 0.3), min_size=9, max_size=9), st.lists(st.floats(-1, 1), min_size=3, max_size=3)
)
def test_an_affine_color_change_of_the_output_changes_nothing(output, mix, offset):
    target = torch.rand(1, 3, 3, 4, generator=torch.Generator().manual_seed(0))
    matrix = torch.eye(3, dtype=torch.float64) + torch.tensor(mix, dtype=torch.float64).view(3, 3)  # invertible
    changed = torch.einsum("ij,njhw->nihw", matrix, output.double())
    changed += torch.tensor(offset, dtype=torch.float64).view(1, 3, 1, 1)
    torch.testing.assert_close(
        psnr_color_fitted(changed, target), psnr_color_fitted(output, target), rtol=1e-5, atol=1e-4
    )
