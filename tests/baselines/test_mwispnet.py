"""MW-ISPNet: its preprocessing, its exact identity and its checkpoint names."""

import pytest
import torch
import torch.nn.functional as F

from ispbench.baselines.mwispnet.model import MWISP
from ispbench.errors import UserError
from ispbench.raw.levels import normalize_raw


@pytest.fixture
def model() -> MWISP:
    torch.manual_seed(0)
    return MWISP(width=16, blocks=1).eval()


def test_net_inputs_are_the_authors_preprocessing(model: MWISP) -> None:
    dn = torch.randint(0, 1024, (2, 4, 16, 24)).float()
    red, green_of_red, green_of_blue, blue = dn.unbind(1)
    authors = (torch.stack((blue, green_of_red, red, green_of_blue), 1) - 63).clamp_min(0) / (1020 - 63)
    (ours,) = model.net_inputs(normalize_raw(dn, 63, 1020))
    torch.testing.assert_close(ours, authors, rtol=0, atol=1e-6)


def test_without_the_last_features_the_network_is_its_last_convolution(model: MWISP) -> None:
    """The bands of the input skip everything: what `up3` adds to them set to zero, the tail sees the RAW itself."""
    closing = model.net.up3[-1]
    torch.nn.init.zeros_(closing.weight)
    torch.nn.init.zeros_(closing.bias)
    raw = torch.rand(1, 4, 16, 24)
    with torch.no_grad():
        expected = F.pixel_shuffle(model.net.tail[1](raw), 2)
        torch.testing.assert_close(model.net(raw), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("with_filters", [True, False])
def test_official_names_load(model: MWISP, with_filters: bool) -> None:
    official = {name.replace(".ca.", ".CA."): value for name, value in model.net.state_dict().items()}
    assert "down1.2.rg.0.CA.conv_du.0.weight" in official
    if with_filters:
        filters = ("head", "down2.0", "down3.0", "up1.2", "up2.3", "tail.0")
        official |= {f"{name}.weight": torch.zeros(4, 1, 2, 2) for name in filters}
    model.net.load_state_dict(model.official_state_dict(official))


@pytest.mark.parametrize("size", [{"width": 8}, {"width": 64.0}, {"blocks": 0}])
def test_wrong_sizes_are_refused(size: dict[str, int]) -> None:
    with pytest.raises(UserError, match=f"model.{next(iter(size))} is a whole number"):
        MWISP(**size)
