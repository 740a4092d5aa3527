import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, map_coordinates

from ispbench.errors import UserError
from ispbench.protocols.flow import DIS, RAFT, warp


def texture(size=(96, 128), seed=0):
    rng = np.random.default_rng(seed)
    planes = [gaussian_filter(rng.random(size), 2) for _ in range(3)]
    image = np.stack(planes)
    return torch.from_numpy((image - image.min()) / (image.max() - image.min())).float()


def constant_flow(x, y, size=(96, 128)):
    return torch.tensor([float(x), float(y)]).view(2, 1, 1).expand(2, *size)


def test_no_flow_leaves_the_image_as_it_is():
    image = texture()
    warped, mask = warp(image, constant_flow(0, 0))
    torch.testing.assert_close(warped, image, rtol=0, atol=1e-5)
    assert mask.all()


def test_a_whole_step_fetches_the_neighbour_and_loses_the_border():
    image = texture()
    warped, mask = warp(image, constant_flow(3, -2))
    torch.testing.assert_close(warped[:, 2:, :-3], image[:, :-2, 3:], rtol=0, atol=1e-5)
    assert mask[0, 2:, :-3].all()
    assert mask.sum() == (96 - 2) * (128 - 3)


def test_fractions_are_bilinear():
    image, rng = texture(), np.random.default_rng(1)
    flow = torch.from_numpy(rng.uniform(-4, 4, (2, 96, 128))).float()
    warped, mask = warp(image, flow)
    y, x = np.mgrid[:96, :128]
    places = np.stack((y + flow[1].numpy(), x + flow[0].numpy()))
    expected = np.stack([map_coordinates(plane.numpy(), places, order=1, mode="nearest") for plane in image])
    valid = mask[0].bool().numpy()
    inside = (places[0] >= 0) & (places[0] <= 95) & (places[1] >= 0) & (places[1] <= 127)
    assert valid.sum() > 0.9 * valid.size
    assert (valid == inside).mean() > 0.999
    np.testing.assert_allclose(warped.numpy()[:, valid], expected[:, valid], atol=1e-3)


@pytest.mark.parametrize("preset", ["ultrafast", "fast", "medium"])
def test_dis_finds_a_shift_and_its_direction(preset):
    image = texture((128, 160))
    other = torch.roll(image, (2, -3), dims=(1, 2))  # other(p + (-3, 2)) = image(p)
    estimator = DIS(preset)
    flow = estimator(image, other)
    inner = flow[:, 24:-24, 24:-24].flatten(1).median(1).values
    torch.testing.assert_close(inner, torch.tensor([-3.0, 2.0]), atol=0.3, rtol=0)
    warped, _ = warp(other, flow)
    assert (warped - image).abs().mean() < 0.3 * (other - image).abs().mean()
    assert estimator.name == ("dis" if preset == "medium" else f"dis-{preset}")


def test_dis_complains_in_a_sentence():
    with pytest.raises(UserError, match="ultrafast, fast, medium"):
        DIS("best")
    with pytest.raises(UserError, match="16x16"):
        DIS()(torch.rand(3, 8, 30), torch.rand(3, 8, 30))


@pytest.fixture(scope="module")
def raft_file(tmp_path_factory):
    """RAFT's structure with random weights: what it finds means nothing, but its path is the real one."""
    from torchvision.models.optical_flow import raft_small

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("raft") / "raft_small.pth"
    torch.save(raft_small(weights=None).state_dict(), path)
    return path


def test_raft_takes_weights_of_the_user_and_any_size(raft_file):
    from torchvision.models.optical_flow import raft_small

    estimator = RAFT("small", str(raft_file))
    assert estimator.name.startswith("raft-small-")
    assert len(estimator.name) == len("raft-small-") + 8
    assert estimator(texture((40, 70)), texture((40, 70), 1)).shape == (2, 40, 70)
    network = raft_small(weights=None).eval()
    network.load_state_dict(torch.load(raft_file, weights_only=True))
    images = [texture((128, 136), seed)[None] * 2 - 1 for seed in (0, 1)]
    with torch.no_grad():
        expected = network(*images)[-1][0]
    torch.testing.assert_close(estimator(texture((128, 136)), texture((128, 136), 1)), expected)


def test_raft_refuses_other_weights(raft_file, tmp_path):
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match="not a checkpoint of RAFT small"):
        RAFT("small", str(tmp_path / "other.pth"))
    with pytest.raises(UserError, match="large or small"):
        RAFT("huge", str(raft_file))
