"""The global colour mapping: what reaches a pixel, and its checkpoint names."""

import pytest
import torch

from ispbench.models.coordinates import coordinate_grid
from ispbench.protocols.gcm import GCM


@pytest.fixture
def gcm() -> GCM:
    torch.manual_seed(0)
    return GCM().eval()


def test_it_holds_the_18_tensors_of_the_authors(gcm: GCM) -> None:
    layers = ("guide_net.0.0", "guide_net.1.0", "guide_net.1.2", "guide_net.3", "align_head.0", "align_tail")
    layers += ("align_base.0", "align_base.2", "align_base.4")
    assert gcm.state_dict().keys() == {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}
    assert sum(p.numel() for p in gcm.parameters()) == 46_243


def test_it_adds_to_the_gamma_corrected_raw(gcm: GCM) -> None:
    torch.nn.init.zeros_(gcm.align_tail.weight)
    torch.nn.init.zeros_(gcm.align_tail.bias)
    demosaic, srgb = torch.rand(2, 1, 3, 7, 9)
    with torch.no_grad():
        torch.testing.assert_close(
            gcm(demosaic, srgb, coordinate_grid(demosaic)), demosaic.pow(1 / 2.2), rtol=0, atol=1e-6
        )


def test_only_a_summary_of_the_photo_enters(gcm: GCM) -> None:
    """With the guide's last convolution at zero the photo counts for nothing, and each pixel only for itself."""
    demosaic, srgb = torch.rand(2, 1, 3, 16, 16)
    coord = coordinate_grid(demosaic)
    other = demosaic.clone()
    other[..., 5, 6] = 0.5
    with torch.no_grad():
        image = gcm(demosaic, srgb, coord)
        assert not torch.allclose(image, gcm(demosaic, srgb.flip(1), coord))
        torch.nn.init.zeros_(gcm.guide_net[3].weight)
        torch.nn.init.zeros_(gcm.guide_net[3].bias)
        image = gcm(demosaic, srgb, coord)
        assert torch.equal(image, gcm(demosaic, srgb.flip(1), coord))
        changed = ~torch.isclose(image, gcm(other, srgb, coord), rtol=0, atol=1e-6).all(1)
    assert changed.nonzero().tolist() == [[0, 5, 6]]
