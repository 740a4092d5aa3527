import pytest
import torch

from ispbench.errors import UserError
from ispbench.models.coordinates import coordinate_grid
from ispbench.protocols.gcm import GCM
from ispbench.protocols.mapping import FittedGCM, TrainedGCM
from ispbench.raw.demosaic import bilinear
from tests.protocols.pairs import ShiftedData, first_pair


@pytest.fixture(scope="module")
def pair():
    return first_pair(ShiftedData(count=1, shift=(0.0, 0.0)))


def gamma(raw):
    return bilinear(raw[None]).clamp(0, 1).pow(1 / 2.2)[0]


def test_it_takes_on_the_photos_colours(pair):
    raw, photo = pair
    mapped = FittedGCM()(raw, photo)
    assert mapped.shape == photo.shape
    assert mapped.min() >= 0
    assert mapped.max() <= 1
    assert (mapped - photo).abs().mean() < 0.15 * (gamma(raw) - photo).abs().mean()


def test_it_keeps_the_geometry_of_the_raw(pair):
    """A photo that is shifted by three pixels gives nearly the colours, and not the place, of one that is not."""
    raw, photo = pair
    still, moved = FittedGCM()(raw, photo), FittedGCM()(raw, torch.roll(photo, 3, dims=2))
    assert (still - moved).abs().mean() < 0.25 * (photo - torch.roll(photo, 3, dims=2)).abs().mean()


def test_it_is_the_same_each_time_and_leaves_the_random_state_alone(pair):
    state = torch.get_rng_state()
    first = FittedGCM(steps=20)(*pair)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(5)
    with torch.inference_mode():
        pass
    assert torch.equal(FittedGCM(steps=20)(*pair), first)


def test_other_settings_have_another_name():
    assert FittedGCM().name == ""
    assert FittedGCM(steps=100).name == "fitted-100-0.003-8"


def test_a_trained_network_is_the_gcm_of_the_file(pair, tmp_path):
    raw, photo = pair
    torch.manual_seed(1)
    gcm = GCM().eval()
    torch.save({"state_dict": gcm.state_dict()}, tmp_path / "GCMModel_model_80.pth")
    mapping = TrainedGCM(str(tmp_path / "GCMModel_model_80.pth"))
    demosaic = bilinear(raw[None]).clamp_min(0)
    with torch.no_grad():
        expected = gcm(demosaic, photo[None], coordinate_grid(demosaic))[0].clamp(0, 1)
    torch.testing.assert_close(mapping(raw, photo), expected)
    assert mapping.name.startswith("gcm-")


def test_another_file_is_refused(tmp_path):
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match="not a checkpoint of the GCM"):
        TrainedGCM(str(tmp_path / "other.pth"))
