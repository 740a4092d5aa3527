import cv2
import numpy as np
import pytest
from hydra.utils import instantiate

from ispbench.config import compose
from ispbench.errors import UserError


def write_pair(folder, name, rng, size=(32, 48), bits=10, dtype=np.uint16, raw="raw", gt="gt", suffix=".png"):
    for place in (raw, gt):
        (folder / place).mkdir(parents=True, exist_ok=True)
    mosaic = rng.integers(0, 2**bits, size).astype(dtype)
    target = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    cv2.imwrite(str(folder / raw / f"{name}.png"), mosaic)
    cv2.imwrite(str(folder / gt / f"{name}{suffix}"), target[..., ::-1])
    return mosaic, target


def folder_data(root, *overrides):
    settings = [f"data.root={root}", "data.black_level=0", "data.white_level=1023", "data.num_workers=0"]
    data = instantiate(compose(["data=folder", *settings, *overrides]).data)
    data.prepare_data()
    return data


@pytest.fixture
def root(tmp_path, rng):
    for number in range(10):
        write_pair(tmp_path, f"p{number}", rng)
    return tmp_path


def test_pairs_come_back_as_written(tmp_path, rng):
    written = {str(number): write_pair(tmp_path, number, rng) for number in range(10)}
    data = folder_data(tmp_path)
    for split in ("train", "val", "test"):
        source = data.source(split)
        for index, name in enumerate(source.names):
            mosaic, target = source.read(index)
            np.testing.assert_array_equal(mosaic, written[name][0])
            np.testing.assert_array_equal(target, written[name][1])


def test_splits_are_disjoint_stable_and_whole(root):
    data = folder_data(root)
    names = {split: set(data.source(split).names) for split in ("train", "val", "test")}
    assert [len(names[split]) for split in ("train", "val", "test")] == [7, 1, 2]
    assert len(set.union(*names.values())) == 10
    assert folder_data(root).fingerprint() == data.fingerprint()


def test_split_folders_are_used(tmp_path, rng):
    for split, count in (("train", 6), ("test", 3)):
        for number in range(count):
            write_pair(tmp_path / split, f"{split}{number}", rng)
    data = folder_data(tmp_path)
    assert len(data.source("test")) == 3
    assert len(data.source("val")) == 1
    assert len(data.source("train")) == 5


def test_eight_bit_files_keep_the_ten_bit_scale(tmp_path, rng):
    for number in range(5):
        write_pair(tmp_path, number, rng, bits=8, dtype=np.uint8)
    mosaic, _ = folder_data(tmp_path).source("train").read(0)
    assert mosaic.dtype == np.uint16
    assert mosaic.max() <= 255


def test_other_phases_become_rggb(tmp_path, rng):
    written = {str(number): write_pair(tmp_path, number, rng) for number in range(5)}
    source = folder_data(tmp_path, "data.cfa=GBRG").source("train")
    mosaic, target = source.read(0)
    raw, photo = written[source.names[0]]
    np.testing.assert_array_equal(mosaic, raw[1:-1])
    np.testing.assert_array_equal(target, photo[1:-1])


def test_zrr_layout(tmp_path, rng):
    for split in ("train", "test"):
        for number in range(4):
            write_pair(tmp_path / split, number, rng, raw="huawei_raw", gt="canon", suffix=".jpg")
    data = instantiate(compose(["data=zrr", f"data.root={tmp_path}"]).data)
    data.prepare_data()
    assert data.version == "zrr-v1"
    assert list(data.source("test").names) == ["0", "1", "2", "3"]


def test_missing_folder(tmp_path):
    with pytest.raises(UserError, match=r"no folder .*raw.*data\.root"):
        folder_data(tmp_path)


def test_missing_partner(root):
    (root / "gt" / "p3.png").unlink()
    with pytest.raises(UserError, match="p3"):
        folder_data(root)


def read_all(data):
    for split in ("train", "val", "test"):
        for index in range(len(data.source(split))):
            data.source(split).read(index)


def test_truncated_file(root):
    path = root / "raw" / "p4.png"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UserError, match=r"p4\.png is not a whole image"):
        read_all(folder_data(root))


def test_mismatched_sizes(root, rng):
    write_pair(root / "other", "p5", rng, size=(16, 16))
    (root / "other" / "gt" / "p5.png").replace(root / "gt" / "p5.png")
    with pytest.raises(UserError, match=r"p5\.png is 48x32 but .* is 16x16"):
        read_all(folder_data(root))


def test_wrong_bit_depth(root, rng):
    write_pair(root, "p6", rng, bits=14)
    with pytest.raises(UserError, match=r"p6\.png reaches .*white_level"):
        read_all(folder_data(root))


def test_photo_in_place_of_a_mosaic(root):
    (root / "raw" / "p7.png").write_bytes((root / "gt" / "p7.png").read_bytes())
    with pytest.raises(UserError, match=r"p7\.png has 3 channels"):
        read_all(folder_data(root))
