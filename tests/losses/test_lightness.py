import numpy as np
import pytest
import skimage
import torch

from ispbench.losses.lightness import LightnessLoss, lightness
from ispbench.losses.perceptual import PerceptualLoss


@pytest.fixture
def image(rng):
    return torch.from_numpy(rng.random((2, 3, 32, 40)).astype(np.float32))


def test_lightness_is_that_of_cie_lab(image):
    image[0, :, :4] *= 0.02  # where sRGB and L* are linear
    expected = skimage.color.rgb2lab(image.numpy(), channel_axis=1)[:, :1]
    np.testing.assert_allclose(lightness(image).numpy(), expected, atol=2e-3)


def test_lightness_has_gradients_outside_the_range():
    srgb = torch.tensor([-1.0, 0.0, 0.04045, 0.5, 1.0, 2.0]).expand(1, 3, 1, 6).clone().requires_grad_()
    lightness(srgb).sum().backward()
    assert srgb.grad.isfinite().all()
    assert (srgb.grad[..., 2:] > 0).all()


def test_content_is_compared_in_the_features_of_the_lightness_alone(image):
    target = image.flip(0)
    loss = LightnessLoss(network="vgg16", layer=15, distance="l2")
    gray = [skimage.color.rgb2lab(x.numpy(), channel_axis=1)[:, :1] / 100 for x in (image, target)]
    gray = [torch.from_numpy(x).float().repeat(1, 3, 1, 1) for x in gray]
    expected = PerceptualLoss(network="vgg16", layer=15, distance="l2")(*gray)
    assert expected > 0
    assert loss(image, target).item() == pytest.approx(expected.item(), rel=1e-3)
