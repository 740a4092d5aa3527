import json
import shutil

import numpy as np
import pytest
from hydra.errors import InstantiationException
from hydra.utils import instantiate

from ispbench.config import compose
from ispbench.data.datasets.camera import split_files
from ispbench.errors import UserError
from ispbench.raw.camera_file import read_camera
from ispbench.raw.camera_targets import libraw_rendering
from tests.conftest import TINY_METAISP, ispbench_here
from tests.raw.dng import GRBG, RGGB, XTRANS, write_dng
from tests.raw.test_camera import SHARED_FILES, photograph, scene

SPLITS = ("train", "val", "test")
TINY = ["data.tile=32", "data.crop=32", "data.batch_size=2"]


def camera_data(root, *overrides):
    data = instantiate(compose(["data=camera", f"data.root={root}", *TINY, *overrides]).data)
    data.prepare_data()
    return data


@pytest.fixture
def root(tmp_path, rng):
    folder = tmp_path / "photos"
    for place in ("a", "b"):
        (folder / place).mkdir(parents=True)
    for number in range(6):
        cfa, levels = ((GRBG, 64.0), (RGGB, 250.0))[number % 2]
        photograph(folder / "ab"[number % 2] / f"{number}.dng", scene(rng, 72, 104), cfa, levels, jpeg=None)
    (folder / "notes.txt").write_text("no camera file")
    (folder / "._0.dng").write_bytes(b"what some systems leave behind")
    return folder


def test_tiles_are_of_the_file_on_the_common_scale(root):
    data = camera_data(root)
    assert data.version == "camera-v1-libraw"
    for split in SPLITS:
        source = data.source(split)
        for index, name in enumerate(source.names):
            file, place = name.split("@")
            top, left = map(int, place.split("-"))
            camera = read_camera(root / file)
            part = (slice(top, top + 32), slice(left, left + 32))
            mosaic, target = source.read(index)
            assert (mosaic.dtype, target.dtype) == (np.uint16, np.uint8)
            np.testing.assert_array_equal(mosaic, camera.rescaled(4096, 61440)[part])
            np.testing.assert_array_equal(target, libraw_rendering(camera)[part])


def test_batches_are_canonical_whatever_the_files_levels(root):
    data = camera_data(root, "data.augment=false", "data.eval_batch_size=1")
    batch = data.to_canonical(next(iter(data.test_dataloader())))
    file = batch["name"][0].split("@")[0]
    expected = read_camera(root / file).canonical()[:, :16, :16]
    np.testing.assert_allclose(batch["raw"][0].numpy(), expected, atol=1e-5)


def test_splits_are_of_whole_files(root):
    data = camera_data(root)
    files = {split: {name.split("@")[0] for name in data.source(split).names} for split in SPLITS}
    assert [len(files[split]) for split in SPLITS] == [4, 1, 1]
    assert len(set.union(*files.values())) == 6
    assert camera_data(root).fingerprint() == data.fingerprint()
    assert camera_data(root, "data.tile=64").fingerprint() != data.fingerprint()


def test_split_folders_are_used(root):
    for split, number in (("train", 0), ("test", 1)):
        (root / split).mkdir()
        (root / "ab"[number] / f"{number}.dng").rename(root / split / f"{number}.dng")
    (root / "b" / "3.dng").rename(root / "train" / "3.dng")
    splits = split_files(root, {"val": 0.1, "test": 0.2})
    assert {split: [path.name for path in splits[split]] for split in ("val", "test")}["test"] == ["1.dng"]
    assert sorted(path.name for split in ("train", "val") for path in splits[split]) == ["0.dng", "3.dng"]


def test_files_are_developed_once_and_again_when_they_change(root, tmp_path, rng, monkeypatch):
    import ispbench.data.datasets.camera as module

    developed = []
    monkeypatch.setattr(module, "read_camera", lambda path: developed.append(path.name) or read_camera(path))
    cache = f"data.cache={tmp_path}/cache"
    before = camera_data(root, cache).fingerprint()
    assert len(developed) == 6
    assert camera_data(root, cache).fingerprint() == before
    assert len(developed) == 6
    photograph(root / "a" / "2.dng", scene(rng, 72, 104), black=70.0)
    assert camera_data(root, cache).fingerprint() != before
    assert developed[6:] == ["2.dng"]


def test_an_interrupted_development_keeps_what_is_done(root, tmp_path, monkeypatch):
    import ispbench.data.datasets.camera as module

    done = []

    def interrupted(path):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(path)
        return read_camera(path)

    monkeypatch.setattr(module, "read_camera", interrupted)
    with pytest.raises(KeyboardInterrupt):
        camera_data(root, f"data.cache={tmp_path}/cache")
    assert len(list((tmp_path / "cache" / "camera-v1-libraw").iterdir())) == 2


def test_embedded_target(root, rng):
    for path in root.rglob("[0-9].dng"):
        linear = scene(rng, 72, 104)
        jpeg = np.rint(200 * linear ** (1 / 2.2)).astype(np.uint8)[1:71, 2:102, None].repeat(3, axis=2)
        photograph(path, linear, jpeg=jpeg)
    data = camera_data(root, "data.target=embedded")
    assert data.version == "camera-v1-embedded"
    mosaic, target = data.source("test").read(1)
    linear = (mosaic[0::2, 1::2].astype(float) - 4096) / 57344
    assert np.abs(target[0::2, 1::2, 1] - 200 * linear ** (1 / 2.2)).mean() < 2
    assert "camera-v1-libraw" not in data.version


def test_assumptions_are_said_and_kept_for_the_record(root, rng, capsys):
    photograph(root / "a" / "0.dng", scene(rng, 72, 104), neutral=None, matrix=None)
    data = camera_data(root)
    assert list(data.notes) == ["a/0.dng"]
    assert "no white balance, gray world assumed" in data.notes["a/0.dng"]
    assert "no color matrix" in data.notes["a/0.dng"]
    assert "a/0.dng: no white balance, gray world assumed" in capsys.readouterr().err


def test_equal_files_in_two_splits_are_refused(root):
    splits = split_files(root, {"val": 0.1, "test": 0.2})
    shutil.copy(splits["train"][0], splits["test"][0])
    with pytest.raises(UserError, match="are the same file"):
        camera_data(root)


def test_a_full_disk_is_refused_before_the_work(root, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(UserError, match=r"6 camera files needs 0\.0 GB .*data\.cache"):
        camera_data(root, f"data.cache={tmp_path}/cache/new")


@pytest.mark.parametrize(
    "override, message",
    [
        ("data.target=jpeg", r"data\.target=jpeg is unknown; choose one of libraw, embedded"),
        ("data.tile=33", r"data\.tile is an even number"),
        ("data.tile=256", r"is 10[24]x72, smaller than data\.tile=256; lower data\.tile"),
        ("data.white_level=70000", "does not fit into 16 bits"),
        ("data.target=embedded", "holds no camera JPEG"),
        ("data.root=nowhere", r"no folder nowhere; set data\.root"),
    ],
)
def test_mistakes_are_explained(root, override, message):
    with pytest.raises((UserError, InstantiationException), match=message):
        camera_data(root, override)


def test_too_few_files(tmp_path, rng):
    photograph(tmp_path / "0.dng", scene(rng))
    with pytest.raises(UserError, match="has 1 camera files, which leaves none for the train"):
        camera_data(tmp_path)


@pytest.mark.parametrize("refused, message", [(XTRANS, "has Fujifilm's X-Trans CFA"), (None, "it is damaged")])
def test_a_file_that_cannot_be_used_ends_the_command_line_with_its_name(root, rng, tmp_path, refused, message):
    path = write_dng(root / "odd.dng", rng.integers(64, 1023, (72, 104)).astype(np.uint16), refused or RGGB)
    if not refused:
        path.write_bytes(path.read_bytes()[:-2000])
    done = ispbench_here("data=camera", f"data.root={root}", *TINY, "trainer=cpu", "logger=none", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "odd.dng" in done.stderr
    assert message in done.stderr


@pytest.mark.shared
@pytest.mark.timeout(600)
def test_every_real_file_trains_and_tests_from_the_command_line(shared, tmp_path):
    """All files of the folder, the two splits by name; two steps of a tiny network, the record names the target."""
    settings = ["data=camera", f"data.root={shared}/data/raw", "data.tile=256", "data.crop=32", "data.batch_size=2"]
    settings += ["num_workers=0", "trainer.val_check_interval=2", "trainer=cpu", "trainer.max_steps=2", "logger=csv"]
    settings += ["trainer.limit_val_batches=1", "metrics.scores=[psnr,ssim]", "metrics.latency.repetitions=1"]
    settings += ["metrics.latency.height=32", "metrics.latency.width=32"]
    done = ispbench_here(*TINY_METAISP, *settings, cwd=tmp_path, ISPBENCH_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "cache" / "camera-v1-libraw").iterdir())) == len(SHARED_FILES)
    for name in SHARED_FILES:
        assert (f"{name}: no white balance, gray world assumed" in done.stderr) == (not name.startswith("Canon"))
    (path,) = (tmp_path / "results" / "evaluations").glob("*.json")
    record = json.loads(path.read_text())
    assert record["status"] == "finished"
    assert record["protocol"].startswith("camera-v1-libraw")
    assert np.isfinite(record["metrics"]["psnr"])
