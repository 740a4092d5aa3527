import cv2
import numpy as np
import pytest
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st

from ispbench.config import compose
from ispbench.errors import UserError
from ispbench.raw.bayer import PHASE_OFFSETS
from tests.data.trees import mai21_tree, pairs, rhid_tree, write, zrr_tree


def write_pair(folder, name, rng, size=(32, 48), bits=10, dtype=np.uint16, raw="raw", gt="gt", suffix=".png"):
    for place in (raw, gt):
        (folder / place).mkdir(parents=True, exist_ok=True)
    mosaic = rng.integers(0, 2**bits, size).astype(dtype)
    target = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    cv2.imwrite(str(folder / raw / f"{name}.png"), mosaic)
    cv2.imwrite(str(folder / gt / f"{name}{suffix}"), target[..., ::-1])
    return mosaic, target


def folder_data_unprepared(root, *overrides):
    options = [f"data.root={root}", "data.black_level=0", "data.white_level=1023"]
    return instantiate(compose(["data=folder", *options, *overrides]).data)


def folder_data(root, *overrides):
    data = folder_data_unprepared(root, *overrides)
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


def test_folds_test_every_pair_once_and_validate_on_others(root):
    folds = [folder_data(root, "data.folds=3", f"data.fold={fold}") for fold in range(3)]
    names = [{split: set(fold.source(split).names) for split in ("train", "val", "test")} for fold in folds]
    assert sorted(name for fold in names for name in fold["test"]) == [f"p{number}" for number in range(10)]
    for number, fold in enumerate(names):
        assert fold["val"] == names[(number + 1) % 3]["test"]
        assert sorted(name for split in fold.values() for name in split) == [f"p{number}" for number in range(10)]
    assert [fold.version for fold in folds] == ["folder-fold0", "folder-fold1", "folder-fold2"]


def test_folds_that_there_are_not(root, tmp_path, rng):
    with pytest.raises(InstantiationException, match=r"data\.fold=3: 3 folds are numbered from 0 to 2"):
        folder_data(root, "data.folds=3", "data.fold=3")
    for split in ("train", "test"):
        write_pair(tmp_path / "split" / split, "p0", rng)
    with pytest.raises(UserError, match=r"data\.folds=3 makes the splits, but .* has folders of its own"):
        folder_data(tmp_path / "split", "data.folds=3")


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


def zrr(root, *overrides):
    return instantiate(compose(["data=zrr", f"data.root={root}", "data.size=[64,64]", *overrides]).data)


def test_zrr_holds_out_its_list_and_never_the_test_folder(tmp_path, rng):
    zrr_tree(tmp_path, rng)
    data = zrr(tmp_path, "data.allow_partial=true")
    data.prepare_data()
    assert data.protocol == "zrr-v1-partial/original-gt"
    assert list(data.source("train").names) == [str(number) for number in range(8)]
    assert list(data.source("val").names) == ["960", "961"]
    assert list(data.source("test").names) == ["0", "1", "2"]
    assert data.notes["levels"].startswith("black 63, white 1020 (10 bits)")
    assert [path.name for path in data.full_mosaics()] == ["0.png"]


def test_a_part_of_zrr_is_refused_by_name(tmp_path, rng):
    zrr_tree(tmp_path, rng)
    data = zrr(tmp_path)
    assert data.protocol == "zrr-v1/original-gt"
    with pytest.raises(UserError, match=r"46,829 x pair missing.*lacks 8\.png, 9\.png.*data\.allow_partial=true"):
        data.prepare_data()


def test_a_part_without_validation_files_is_refused(tmp_path, rng):
    zrr_tree(tmp_path, rng, val=0)
    with pytest.raises(UserError, match=r"val split .* no pairs.*train/huawei_raw/960\.png"):
        zrr(tmp_path, "data.allow_partial=true").prepare_data()


def test_a_file_that_zrr_does_not_have_is_refused(tmp_path, rng):
    zrr_tree(tmp_path, rng, test=1)
    for place, suffix in (("huawei_raw", "png"), ("canon", "jpg")):
        (tmp_path / "test" / place / f"0.{suffix}").rename(tmp_path / "test" / place / f"1204.{suffix}")
    with pytest.raises(UserError, match=r"test/huawei_raw/1204\.png"):
        zrr(tmp_path, "data.allow_partial=true").prepare_data()


def test_a_version_cannot_lose_its_list(tmp_path):
    with pytest.raises(InstantiationException, match=r"another data\.version"):
        zrr(tmp_path, "data.split_list=null")


def mai21(root, *overrides):
    settings = ["data=mai21", f"data.root={root}", "data.size=[64,64]", "data.allow_partial=true", *overrides]
    return instantiate(compose(settings).data)


def test_mai21_has_our_own_split(tmp_path, rng):
    mai21_tree(tmp_path, rng)
    data = mai21(tmp_path)
    data.prepare_data()
    assert data.protocol == "mai21-v1-partial/own-split"
    assert [len(data.source(split)) for split in ("train", "val", "test")] == [8, 2, 2]


def test_mai21_as_the_tree_splits_it_is_another_protocol(tmp_path, rng):
    for split, count in (("train", 4), ("val", 2), ("test", 2)):
        for number, (mosaic, target) in enumerate(pairs(count, rng, black=255, white=4095)):
            write(tmp_path / split, str(number), mosaic, target, "mediatek_raw", "fujifilm")
    data = mai21(tmp_path, "data.allow_partial=false", "data.split_list=null", "data.version=mai21-tree-v1")
    data.prepare_data()
    assert data.protocol == "mai21-tree-v1/tree-split"
    assert len(data.source("test")) == 2


def test_ten_bit_files_contradict_twelve_configured_bits(tmp_path, rng):
    for number, (mosaic, target) in enumerate(pairs(24, rng, black=64, white=1023)):
        write(tmp_path, str(number), mosaic, target)
    data = folder_data_unprepared(tmp_path, "data.black_level=255", "data.white_level=4095", "data.val_fraction=0.05")
    with pytest.raises(UserError, match=r"10 bits need data\.white_level=1023 data\.black_level=64"):
        data.prepare_data()


def test_rhid_sets_share_their_targets_and_their_split(tmp_path, rng):
    rhid_tree(tmp_path, rng)
    data = instantiate(compose(["data=rhid", f"data.root={tmp_path}", "data.size=[64,64]"]).data)
    data.prepare_data()
    names = {split: list(data.source(split).names) for split in ("train", "val", "test")}
    assert names["test"] == ["set1/0_3", "set1/1_3", "set4/0_3", "set4/1_3"]
    assert len(names["train"]) == 10
    assert len({name.partition("/")[2] for name in names["val"]}) == 1
    assert not {name.partition("/")[2] for name in names["val"]} & {name.partition("/")[2] for name in names["train"]}
    raw, _ = data.source("test").paths(0)
    mosaic, target = data.source("test").read(0)
    np.testing.assert_array_equal(mosaic, np.fromfile(raw, "<u2").reshape(64, 64))
    assert target.shape == (64, 64, 3)


@given(st.sampled_from(sorted(PHASE_OFFSETS)), st.integers(4, 12), st.integers(4, 12))
@settings(deadline=None, max_examples=30)
def test_any_phase_and_size_becomes_an_aligned_rggb_pair(tmp_path_factory, phase, height, width):
    root = tmp_path_factory.mktemp("phase")
    colors = np.array([{"R": 100, "G": 200, "B": 300}[letter] for letter in phase]).reshape(2, 2)
    mosaic = np.tile(colors, (6, 6))[:height, :width].astype(np.uint16)
    target = np.repeat((mosaic // 2).astype(np.uint8)[..., None], 3, axis=2)
    for place in ("raw", "gt"):
        (root / place).mkdir()
    for name in "abcde":
        np.save(root / "raw" / f"{name}.npy", mosaic)
        np.save(root / "gt" / f"{name}.npy", target)
    rggb, cut = folder_data(root, f"data.cfa={phase}").source("train").read(0)
    assert rggb.shape[0] % 2 == rggb.shape[1] % 2 == 0
    assert (rggb[0::2, 0::2] == 100).all()
    assert (rggb[0::2, 1::2] == 200).all()
    assert (rggb[1::2, 0::2] == 200).all()
    assert (rggb[1::2, 1::2] == 300).all()
    np.testing.assert_array_equal(cut[..., 0], rggb // 2)


def test_missing_folder(tmp_path):
    with pytest.raises(UserError, match=r"no folder .*raw.*data\.root"):
        folder_data(tmp_path)


def test_missing_partner(root):
    (root / "gt" / "p3.png").unlink()
    (root / "raw" / "p5.png").unlink()
    with pytest.raises(UserError, match=r"raw/p3\.png.*gt/p5\.png"):
        folder_data(root)
    data = folder_data(root, "data.allow_partial=true")
    assert data.version == "folder-partial"
    assert sum(len(data.source(split)) for split in ("train", "val", "test")) == 8


def test_hidden_files_are_no_pairs(root):
    (root / "raw" / "._p3.png").write_bytes(b"left by another system")
    assert sum(len(folder_data(root).source(split)) for split in ("train", "val", "test")) == 10


def test_declared_size(root):
    with pytest.raises(UserError, match=r"48x32 but the dataset's images are 64x64.*data\.size"):
        read_all(folder_data(root, "data.size=[64,64]"))


def test_an_exchanged_file_is_noticed(root, rng):
    data = folder_data(root)
    (root / "raw" / "p2.png").write_bytes((root / "raw" / "p3.png").read_bytes())
    with pytest.raises(UserError, match=r"p2\.png was exchanged since the run began"):
        read_all(data)


def batches(data, loader):
    return [data.on_before_batch_transfer(batch, 0) for batch in loader]


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_file_ends_a_training_in_one_sentence(root, workers):
    data = folder_data(root, "data.batch_size=1", "data.crop=16")
    data.num_workers = workers
    path = data.source("train").paths(2)[1]
    path.unlink()
    with pytest.raises(UserError) as error:
        batches(data, data.train_dataloader())
    assert str(error.value) == f"{path} cannot be read (No such file or directory); restore the file."


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_file_can_be_skipped_and_is_counted(root, workers, capsys):
    data = folder_data(root, "data.batch_size=1", "data.crop=16", "data.on_error=skip")
    data.num_workers = workers
    path = data.source("train").paths(2)[0]
    path.write_bytes(path.read_bytes()[:-30])
    loader = data.train_dataloader()
    for _ in range(2):
        assert [batch["index"].item() for batch in batches(data, loader)].count(2) == 0
    assert len(batches(data, loader)) == 7
    ((sentence, count),) = data.skipped.items()
    assert path.name in sentence
    assert count == 3
    assert capsys.readouterr().err.count("skipped a pair") == 1


def test_unreadable_files_are_never_skipped_in_a_test(root):
    data = folder_data(root, "data.on_error=skip")
    data.source("test").paths(0)[0].unlink()
    with pytest.raises(UserError, match="cannot be read"):
        batches(data, data.test_dataloader())


def test_a_training_does_not_skip_everything(root):
    data = folder_data(root, "data.on_error=skip", "data.batch_size=1")
    for path in (root / "raw").iterdir():
        path.unlink()
    with pytest.raises(UserError, match="7 pairs in a row cannot be read"):
        batches(data, data.train_dataloader())


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
