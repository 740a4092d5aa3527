"""LiteISPNet: its preprocessing and coordinates, PreCoord, and its checkpoint names."""

import pytest
import torch

from ispbench.baselines.liteispnet.model import LiteISP, LiteISPNet
from ispbench.errors import UserError
from ispbench.raw.levels import normalize_raw


def small(precoord: bool = False) -> LiteISP:
    torch.manual_seed(0)
    return LiteISP(width=16, blocks=1, precoord=precoord).eval()


def cell_centres(count: int, extent: float) -> torch.Tensor:
    return torch.linspace(-extent + extent / count, extent - extent / count, count)


@pytest.mark.parametrize("precoord, extents", [(False, (1, 1)), (True, (448 / 3968, 448 / 2976))])
def test_net_inputs_are_the_authors_preprocessing(precoord: bool, extents: tuple[float, float]) -> None:
    dn = torch.randint(0, 1024, (2, 4, 16, 24)).float()
    red, green_of_red, green_of_blue, blue = dn.unbind(1)
    authors = (torch.stack((blue, green_of_red, red, green_of_blue), 1) - 63).clamp_min(0) / (1020 - 63)
    raw, coord = small(precoord).net_inputs(normalize_raw(dn, 63, 1020))
    torch.testing.assert_close(raw, authors, rtol=0, atol=1e-6)
    x, y = cell_centres(24, extents[0]), cell_centres(16, extents[1])
    grid = torch.stack((x.expand(16, 24), y[:, None].expand(16, 24)))
    torch.testing.assert_close(coord, grid.expand(2, -1, -1, -1), rtol=0, atol=1e-6)


def test_the_image_depends_on_the_place() -> None:
    model = small()
    raw, coord = model.net_inputs(torch.rand(1, 4, 16, 16))
    with torch.no_grad():
        assert not torch.allclose(model.net(raw, coord), model.net(raw, coord.flip(-1)))


def test_precoord_shifts_the_coordinates_by_a_clamped_guess_from_linear_raw() -> None:
    placed = small(precoord=True)
    plain = LiteISPNet(width=16, blocks=1)
    plain.load_state_dict(placed.net.state_dict(), strict=False)
    last = placed.net.pre_coord.fc[-1]
    torch.nn.init.zeros_(last.weight)
    last.bias.data = torch.tensor([2.0, -100.0])
    seen = []
    placed.net.pre_coord.register_forward_pre_hook(lambda _, inputs: seen.extend(inputs))
    raw, coord = placed.net_inputs(torch.rand(1, 4, 16, 24))
    shifted = coord + torch.tensor([0.2, -1.0]).view(1, 2, 1, 1)
    with torch.no_grad():
        torch.testing.assert_close(placed.net(raw, coord), plain(raw, shifted), rtol=0, atol=1e-6)
    assert torch.equal(seen[0], raw)


def test_precoord_gives_the_paper_its_11_9_million_parameters() -> None:
    with torch.device("meta"):
        plain, placed = LiteISP(), LiteISP(precoord=True)
    assert sum(p.numel() for p in plain.net.parameters()) == 9_039_623
    assert sum(p.numel() for p in placed.net.parameters()) == 11_922_441
    extra = placed.net.state_dict().keys() - plain.net.state_dict().keys()
    layers = [*(f"down.{i}.0" for i in range(4)), "fc.0", "fc.2"]
    assert extra == {f"pre_coord.{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}


@pytest.mark.parametrize("with_filters", [True, False])
@pytest.mark.parametrize("precoord", [True, False])
def test_official_names_load(precoord: bool, with_filters: bool) -> None:
    model = small(precoord)
    official = dict(model.net.state_dict())
    if with_filters:
        filters = ("down1.3", "down2.2", "down3.2", "up3.0", "up2.0", "up1.0")
        official |= {f"{name}.weight": torch.zeros(64, 1, 2, 2) for name in filters}
    model.net.load_state_dict(model.official_state_dict(official))


def test_weights_with_a_precoord_ask_for_one() -> None:
    with pytest.raises(UserError, match=r"model\.precoord=true"):
        small().official_state_dict(small(precoord=True).net.state_dict())


def test_a_precoord_that_is_no_truth_value_is_refused() -> None:
    with pytest.raises(UserError, match=r"model\.precoord is true or false, not 'yes'"):
        LiteISP(precoord="yes")  # type: ignore[arg-type]
