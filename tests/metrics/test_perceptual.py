import lpips
import pytest
import torch

from ispbench.metrics.backbones import WeightsUnavailableError, load_features
from ispbench.metrics.perceptual import LPIPS
from tests.metrics.pairs import pair

TOLERANCE = 1e-5  # another order of summation


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
    torch.testing.assert_close(ours, expected.detach(), atol=TOLERANCE, rtol=0)


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
    torch.testing.assert_close(LPIPS("vgg")(images, references), expected, atol=TOLERANCE, rtol=0)
    assert (expected > 0.001).all()
