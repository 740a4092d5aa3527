import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import deltaE_ciede2000, rgb2lab

from ispbench.metrics import color, fast_color
from ispbench.metrics.quality import quantize
from tests.metrics.pairs import hwc

# Of the fast path, float32 and tabulated hues, against float64; the plain one is closer. Where two hues are opposite,
# their mean jumps and any rounding decides.
TOLERANCE = {"mean": {"atol": 1e-4, "rtol": 5e-5}, "pixel": {"atol": 2e-3, "rtol": 5e-5}, "lab": {"atol": 2e-4}}
OPPOSITE = 2e-4  # share of pixels that may be so, off by at most 1 %

# Rows of the supplementary data of Sharma et al. 2005: L, a, b of two colors, and their difference.
SHARMA = [
    (50.0, 2.6772, -79.7751, 50.0, 0.0, -82.7485, 2.0425),
    (50.0, 3.1571, -77.2803, 50.0, 0.0, -82.7485, 2.8615),
    (50.0, -1.3802, -84.2814, 50.0, 0.0, -82.7485, 1.0000),
    (50.0, 2.5, 0.0, 73.0, 25.0, -18.0, 27.1492),
    (50.0, 2.5, 0.0, 50.0, 3.1736, 0.5854, 1.0000),
    (60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644),
    (63.0109, -31.0961, -5.8663, 62.8187, -29.7946, -4.0864, 1.2630),
    (22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373),
    (90.8027, -2.0831, 1.4410, 91.1528, -1.6435, 0.0447, 1.4441),
    (6.7747, -0.2908, -2.4247, 5.8714, -0.0985, -2.2286, 0.6377),
    (2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082),
]


@pytest.fixture(params=[color, fast_color], ids=["plain", "fast"])
def code(request):
    return request.param


def by_skimage(images, references):
    pairs = zip(images, references, strict=True)
    return np.stack([deltaE_ciede2000(rgb2lab(hwc(b)), rgb2lab(hwc(a))) for a, b in pairs])


def noisy(size, sigma, seed=0):
    generator = torch.Generator().manual_seed(seed)
    reference = torch.rand(2, 3, *size, generator=generator)
    return quantize(reference + sigma * torch.randn(2, 3, *size, generator=generator)), quantize(reference)


@pytest.mark.parametrize("sigma", [0.005, 0.1, 1.0])
@pytest.mark.parametrize("size", [(64, 64), (33, 70), (1, 1), (300, 301)])
def test_it_is_the_one_of_skimage(code, size, sigma):
    images, references = noisy(size, sigma)
    expected = by_skimage(images, references)
    np.testing.assert_allclose(code.ciede2000(images, references), expected.mean((1, 2)), **TOLERANCE["mean"])
    pixels = code.ciede2000_map(images, references)[:, 0].numpy()
    assert (~np.isclose(pixels, expected, **TOLERANCE["pixel"])).mean() <= OPPOSITE
    np.testing.assert_allclose(pixels, expected, atol=TOLERANCE["pixel"]["atol"], rtol=0.01)


@pytest.mark.parametrize("row", SHARMA)
def test_published_pairs(code, row):
    first, second = torch.tensor(row[:3]), torch.tensor(row[3:6])
    for one, other in ((first, second), (second, first)):
        assert code.delta_e(one[:, None], other[:, None]).item() == pytest.approx(row[6], abs=1e-4)


def test_lab_is_the_one_of_skimage(code):
    levels = torch.cartesian_prod(*[torch.arange(0, 256, 15) / 255] * 3)
    lab = torch.stack(code.srgb_to_lab(levels.T)).T
    np.testing.assert_allclose(lab, rgb2lab(levels.numpy().astype(np.float64)), **TOLERANCE["lab"])


def test_identical_and_constant_images(code):
    image = torch.rand(1, 3, 9, 7)
    assert code.ciede2000(image, image).item() == 0
    black, gray = torch.zeros(1, 3, 5, 5), torch.full((1, 3, 5, 5), 0.5)
    assert code.ciede2000(black, gray).item() == pytest.approx(by_skimage(black, gray).mean(), abs=1e-4)


def test_a_mask_leaves_pixels_out(code):
    images, references = noisy((16, 20), 0.1)
    mask = torch.zeros(2, 1, 16, 20)
    mask[..., 3:9, 2:15] = 1
    torch.testing.assert_close(
        code.ciede2000(images, references, mask), code.ciede2000(images[..., 3:9, 2:15], references[..., 3:9, 2:15])
    )


levels = st.tuples(*[st.integers(0, 255)] * 3)


@settings(deadline=None, max_examples=200)
@given(levels, levels)
def test_any_two_colors(one, other):
    images, references = (torch.tensor(value).view(1, 3, 1, 1) / 255 for value in (one, other))
    wanted = by_skimage(images, references).item()
    for code, tolerance in ((color, {"rel": 1e-5, "abs": 1e-5}), (fast_color, {"rel": 0.01, "abs": 2e-3})):
        forth, back = code.ciede2000(images, references).item(), code.ciede2000(references, images).item()
        assert forth == pytest.approx(back, rel=1e-4, abs=1e-4)
        assert forth == pytest.approx(wanted, **tolerance)
        assert (forth == 0) == (one == other)


def test_the_fast_path_agrees():
    images, references = noisy((391, 402), 0.1)
    mask = (torch.rand(2, 1, 391, 402, generator=torch.Generator().manual_seed(1)) < 0.5).float()
    for valid in (None, mask):
        plain, fast = (code.ciede2000(images, references, valid) for code in (color, fast_color))
        torch.testing.assert_close(fast, plain, **TOLERANCE["mean"])
