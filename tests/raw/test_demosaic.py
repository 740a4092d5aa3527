import numpy as np
import pytest
import torch
from scipy.ndimage import convolve

from ispbench.raw.bayer import pack
from ispbench.raw.demosaic import bilinear


def reference(mosaic):
    """Normalized convolution with mirrored borders, color by color."""
    masks = np.zeros((3, *mosaic.shape))
    masks[0, 0::2, 0::2] = masks[1, 0::2, 1::2] = masks[1, 1::2, 0::2] = masks[2, 1::2, 1::2] = 1
    kernel = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]])
    green = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]])
    kernels = (kernel, green, kernel)
    blurred = [
        convolve(mosaic * mask, k, mode="mirror") / convolve(mask, k, mode="mirror")
        for mask, k in zip(masks, kernels, strict=True)
    ]
    return np.where(masks == 1, mosaic, blurred)


@pytest.mark.parametrize("shape", [(4, 4), (8, 12), (10, 6)])
def test_equals_normalized_convolution(rng, shape):
    mosaic = rng.random(shape)
    ours = bilinear(torch.from_numpy(pack(mosaic))[None])[0].numpy()
    np.testing.assert_allclose(ours, reference(mosaic), atol=1e-12)


def test_a_flat_color_stays_flat():
    packed = torch.tensor([0.2, 0.5, 0.5, 0.8]).view(1, 4, 1, 1).expand(2, 4, 5, 7)
    rgb = bilinear(packed)
    assert rgb.shape == (2, 3, 10, 14)
    torch.testing.assert_close(rgb, torch.tensor([0.2, 0.5, 0.8]).view(1, 3, 1, 1).expand_as(rgb))


def test_stays_in_full_precision_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        assert bilinear(torch.rand(1, 4, 4, 4)).dtype == torch.float32
