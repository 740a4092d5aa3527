import numpy as np
import pytest
from hydra.utils import instantiate

from ispbench.config import compose
from ispbench.data.datasets.mini import PHOTOS, read_photo
from ispbench.data.pairs import PairDataset
from ispbench.errors import UserError, mistake_in
from ispbench.raw.captures import sensors
from tests.conftest import TINY_DATA


def mini(*overrides):
    data = instantiate(compose([*TINY_DATA, *overrides]).data)
    data.prepare_data()
    return data


@pytest.fixture(scope="module")
def data():
    return mini()


def test_photographs_of_the_splits_are_disjoint():
    names = [name for split in PHOTOS.values() for name in split]
    assert len(set(names)) == len(names)
    photos = [read_photo(name) for name in names]
    assert all(photo.ndim == 3 and min(photo.shape[:2]) >= 256 for photo in photos)


def test_test_images_are_whole_photographs():
    source = mini("data.megapixels=0.5").source("test")
    sizes = {source.names[index].split("@")[0]: source.read(index)[1].shape for index in range(len(source))}
    assert sizes == {"coffee": (400, 600, 3), "china": (426, 640, 3), "flower": (426, 640, 3)}


def test_pairs_are_sensor_numbers_and_photographs(data):
    mosaic, target = data.source("train").read(6)
    assert mosaic.shape == target.shape[:2]
    assert mosaic.dtype == np.uint16
    assert target.dtype == np.uint8
    names = data.source("train").names
    assert sum(name.startswith("leaves") for name in names) == 4
    assert len(names) == 8


def test_batches_are_canonical(data):
    batch = data.to_canonical(next(iter(data.train_dataloader())))
    assert batch["raw"].shape == (2, 4, 16, 16)
    assert batch["target"].shape == (2, 3, 32, 32)
    assert batch["raw"].min() > -0.07
    assert batch["raw"].max() <= 1
    assert 0 <= batch["target"].min() <= batch["target"].max() <= 1
    mosaic, _ = data.source("test").read(0)
    whole = data.to_canonical(next(iter(data.test_dataloader())))
    np.testing.assert_allclose(whole["raw"][0, 0].numpy(), (mosaic[0::2, 0::2] - 4096.0) / 61439, atol=1e-6)


def test_same_settings_same_data_other_settings_other_data(data):
    assert mini().fingerprint() == data.fingerprint()
    again = mini()
    for split in ("val", "test"):
        np.testing.assert_array_equal(again.source(split).read(1)[0], data.source(split).read(1)[0])
    others = ["data.data_seed=1", "data.exposure=0.7", "data.track=many-cameras", "data.blur=1"]
    found = {mini(setting).fingerprint() for setting in others}
    assert len(found | {data.fingerprint()}) == 5


def test_a_sample_depends_on_seed_and_number_alone(data):
    dataset = PairDataset(data.source("train"), crop=32, augment=True, seed=3)
    first, other = dataset[2, 100], dataset[2, 101]
    again = PairDataset(mini().source("train"), crop=32, augment=True, seed=3)[2, 100]
    np.testing.assert_array_equal(first["raw"], again["raw"])
    np.testing.assert_array_equal(first["target"], again["target"])
    assert not np.array_equal(first["raw"], other["raw"])
    assert not np.array_equal(first["raw"], PairDataset(data.source("train"), 32, True, seed=4)[2, 100]["raw"])


def test_training_draws_a_new_capture_for_every_crop():
    # Whole photographs of the same index, so that only the captures differ: with five cameras and all lights the
    # balance of gray moves by far more than the noise.
    source = mini("data.track=many-cameras").source("train")
    balances = []
    for draw in range(8):
        mosaic, _ = source.sample(0, None, np.random.default_rng((0, draw)))
        red, blue = (mosaic[place].mean() - 4096 for place in (np.s_[0::2, 0::2], np.s_[1::2, 1::2]))
        balances.append(red / blue)
    assert np.std(np.log(balances)) > 0.1


@pytest.mark.parametrize(
    "track, protocol, cameras",
    [
        ("one-camera", "mini-v2-one-camera", [{"imx378"}] * 2),
        ("many-cameras", "mini-v2-many-cameras", [set(sensors())] * 2),
        ("unseen-camera", "mini-v2-unseen-camera-imx219", [set(sensors()) - {"imx219"}, {"imx219"}]),
        ("known-light", "mini-v2-known-light", [set(sensors())] * 2),
    ],
)
def test_tracks(track, protocol, cameras):
    data = mini(f"data.track={track}", "data.unseen=imx219", "data.val_captures=9")
    assert data.protocol == f"{protocol}/original-gt"
    assert data.balanced == (track == "known-light")
    for split, expected in zip(("train", "test"), cameras, strict=True):
        assert set(data.ranges[split].cameras) == expected
    columns = data.source("test").columns
    assert set(columns["camera"]) == cameras[1]
    assert set(data.source("val").columns["camera"]) == cameras[0]
    assert len(data.source("test").names) == 3 * (3 if track == "one-camera" else 9)
    name = "{photo}@{camera}-{light}-iso{iso}"
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    assert [name.format(**row) for row in rows] == list(data.source("test").names)


def test_known_light_is_balanced():
    source = mini("data.track=known-light").source("test")
    photo = source.read(0)[1] / 255.0
    for index in range(9):
        mosaic, _ = source.read(index)
        planes = [mosaic[row::2, column::2].mean() - 4096 for row in (0, 1) for column in (0, 1)]
        # coffee is reddish: after balancing, red dominates under every light, as it does in the photograph
        assert planes[0] > planes[1] > planes[3]
    assert photo[..., 0].mean() > photo[..., 2].mean()


def test_only_the_chosen_track_identifies_a_dataset(data):
    assert "tracks" not in data.identity()
    assert mini("data.tracks.many-cameras.captures=5").identity() == data.identity()
    assert mini("data.tracks.one-camera.captures=5").identity() != data.identity()
    assert mini("data.unseen=imx219").identity() == data.identity()


@pytest.mark.parametrize(
    "override, message",
    [
        ("data.crop=31", "data.crop"),
        ("data.batch_size=0", "data.batch_size"),
        ("data.num_train=0", "data.num_train"),
        ("data.leaves=0", "data.leaves"),
        ("data.val_captures=10", "1 to 9 captures"),
        ("data.track=other", "data.track=other is unknown; choose one of one-camera"),
        ("data.white_level=60000", "simulated RAW has the levels"),
        ("data.megapixels=0.0005", "below 32 pixels a side"),
        ("data.exposure=1.5", "data.exposure"),
    ],
)
def test_impossible_settings_are_refused(override, message):
    with pytest.raises(Exception, match=message) as caught:
        mini(override)
    assert isinstance(mistake_in(caught.value), UserError)


def test_an_unknown_unseen_camera_is_refused():
    with pytest.raises(Exception, match=r"data\.unseen=imx999 is no camera of the track"):
        mini("data.track=unseen-camera", "data.unseen=imx999")
