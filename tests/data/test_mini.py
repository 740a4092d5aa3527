import numpy as np
import pytest
from hydra.utils import instantiate

from ispbench.config import compose
from ispbench.data.datamodule import loading_processes
from ispbench.data.datasets.mini import PHOTOS, read_photo
from ispbench.errors import UserError
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


def test_pairs_are_sensor_numbers_and_photographs(data):
    mosaic, target = data.source("train").read(7)
    assert mosaic.shape == (64, 64)
    assert mosaic.dtype == np.uint16
    assert mosaic.max() <= 1023
    assert target.shape == (64, 64, 3)
    assert target.dtype == np.uint8
    names = data.source("train").names
    assert sum(name.startswith("leaves") for name in names) == 4
    assert len(names) == 8


def test_batches_are_canonical(data):
    batch = data.to_canonical(next(iter(data.train_dataloader())))
    assert batch["raw"].shape == (2, 4, 16, 16)
    assert batch["target"].shape == (2, 3, 32, 32)
    assert batch["raw"].min() > -0.05
    assert batch["raw"].max() <= 1
    assert 0 <= batch["target"].min() <= batch["target"].max() <= 1
    mosaic, _ = data.source("test").read(0)
    whole = data.to_canonical(next(iter(data.test_dataloader())))
    np.testing.assert_allclose(whole["raw"][0, 0].numpy(), (mosaic[0::2, 0::2] - 64.0) / 959, atol=1e-6)


def test_scaling_leaves_the_stored_batch_as_it_is(data):
    stored = {key: value for key, value in next(iter(data.test_dataloader())).items() if key in ("raw", "target")}
    stored |= {"target": stored["target"].float()}
    before = {key: value.clone() for key, value in stored.items()}
    scaled = data.to_canonical(stored)
    assert scaled["target"].max() <= 1
    for key, value in before.items():
        assert (stored[key].int() == value.int()).all()


def test_embedded_data_load_without_processes_and_files_with_the_devices_cores(data, monkeypatch):
    data = mini()
    data.num_workers = None
    assert data.val_dataloader().num_workers == 0
    data.in_memory = False
    for cores, expected in ((3, 3), (64, 8)):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, cores=cores: range(cores), raising=False)
        assert data.val_dataloader().num_workers == expected
    assert loading_processes(devices=16) == 4
    data.num_workers = 1
    assert data.val_dataloader().num_workers == 1


def test_same_seed_same_data_other_seed_other_data(data, tmp_path):
    again = mini(f"data.cache={tmp_path}")
    assert again.fingerprint() == data.fingerprint()
    assert mini("data.data_seed=1").fingerprint() != data.fingerprint()


def test_an_interrupted_build_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("ispbench.data.datasets.mini.expose", fail)
    with pytest.raises(KeyboardInterrupt):
        mini(f"data.cache={tmp_path}")
    assert not list((tmp_path / "mini-v1").iterdir())


def test_an_unwritable_cache_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="ISPBENCH_CACHE"):
        mini(f"data.cache={tmp_path}/file")


@pytest.mark.parametrize(
    "override, message",
    [("data.tile=63", "data.tile"), ("data.crop=31", "data.crop"), ("data.batch_size=0", "data.batch_size")],
)
def test_impossible_settings_are_refused(override, message):
    with pytest.raises(Exception, match=message):
        mini(override)
