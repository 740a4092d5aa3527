"""Files of a dataset that are damaged, ambiguous, or no files at all."""

import io
import os
import zipfile

import cv2
import numpy as np
import pytest
from torch.utils.data import DataLoader

from ispbench.data.image_files import read_mosaic, read_srgb
from ispbench.data.pairs import PairDataset
from ispbench.data.photographs import read_photograph
from ispbench.data.validation.check import check
from tests.data.test_folder import folder_data, folder_data_unprepared, write_pair
from tests.faults.harness import count, some

READERS = {"mosaic": read_mosaic, "target": read_srgb, "photograph": read_photograph}


def header(text):
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def zipped():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("arr_0.npy", b"x")
    return file.getvalue()


def saved(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


ARRAYS = {
    "zip bytes": zipped(),
    "29 TiB": header("{'descr': '<u2', 'fortran_order': False, 'shape': (4000000, 4000000), }"),
    "negative sides": header("{'descr': '<u2', 'fortran_order': False, 'shape': (-2, -2), }") + b"12345678",
    "no dictionary": header("[" * 900),
    "unknown type": header("{'descr': '<q9', 'fortran_order': False, 'shape': (2, 2), }"),
    "text for sides": header("{'descr': '<u2', 'fortran_order': False, 'shape': 'ab', }"),
    "0x0": saved(np.empty((0, 0), np.uint16)),
    "0x4x3": saved(np.empty((0, 4, 3), np.uint8)),
    "version 9": b"\x93NUMPY\x09\x00\x00\x00",
    "magic alone": b"\x93NUMPY",
    "nothing": b"",
    "pickle": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00.",
}


@pytest.mark.parametrize("kind", ["mosaic", "target"])
@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_that_is_none(attempt, tmp_path, name, kind):
    path = tmp_path / "a.npy"
    path.write_bytes(ARRAYS[name])
    attempt.refused(f".npy of {name}", lambda: READERS[kind](path), str(path))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A whole file of each kind that is read, with its reader."""
    folder, rng = tmp_path_factory.mktemp("whole"), np.random.default_rng(0)
    mosaic, photo = rng.integers(0, 1024, (16, 16)).astype(np.uint16), rng.integers(0, 256, (16, 16, 3), np.uint8)
    np.save(folder / "mosaic.npy", mosaic)
    np.save(folder / "target.npy", photo)
    for suffix in ("png", "tif"):
        cv2.imwrite(str(folder / f"mosaic.{suffix}"), mosaic)
    for name in ("target.png", "target.jpg", "target.tif", "photograph.png", "photograph.jpg", "photograph.tif"):
        cv2.imwrite(str(folder / name), photo)
    return {path.name: (path.read_bytes(), READERS[path.stem]) for path in folder.iterdir()}


def test_bytes_that_changed(attempt, tmp_path, whole):
    rng = np.random.default_rng(1)
    for name, (content, read) in whole.items():
        path = tmp_path / name
        for number in range(count(40, 4)):
            changed = np.frombuffer(content, np.uint8).copy()
            places = rng.integers(min(len(changed), 200 if number % 2 else len(changed)), size=1 + number % 8)
            changed[places] = rng.integers(0, 256, len(places))
            path.write_bytes(changed[: rng.integers(len(changed))] if number % 3 == 0 else changed)
            attempt.survived(f"random bytes in .{name.partition('.')[2]}", lambda p=path, r=read: r(p))


@pytest.fixture
def root(tmp_path, rng):
    for number in range(10):
        write_pair(tmp_path, number, rng)
    return tmp_path


def training(root):
    """The RAW file of a pair of the training split."""
    return root / "raw" / f"{folder_data(root).source('train').names[0]}.png"


def two_of_one_name(path):
    np.save(path.with_suffix(".npy"), cv2.imread(str(path), cv2.IMREAD_UNCHANGED))


def dangling(path):
    path.unlink()
    path.symlink_to("nothing.png")


def looping(path):
    path.unlink()
    path.symlink_to(path.name)


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def zip_bytes(path):
    path.unlink()
    path.with_suffix(".npy").write_bytes(ARRAYS["zip bytes"])


def empty(path):
    path.unlink()
    path.with_suffix(".npy").write_bytes(ARRAYS["0x0"])


BROKEN = {
    "two files of one name": (two_of_one_name, "have one name"),
    "a dangling link": (dangling, "is a link to a file that is not there"),
    "a loop of links": (looping, "is a link to a file that is not there"),
    "a pipe": (pipe, "is not a file with content"),
    "zip bytes": (zip_bytes, "is not a whole .npy file"),
    "0x0 pixels": (empty, "is an image of 0x0 pixels"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_pair_is_named_skipped_and_found_by_the_check(attempt, root, name):
    breaks, says = BROKEN[name]
    path = training(root)
    breaks(path)

    def read_all(*overrides):
        data = folder_data(root, "data.batch_size=1", "data.crop=16", *overrides)
        return [name for batch in data.train_dataloader() for name in data.on_before_batch_transfer(batch, 0)["name"]]

    sentence = attempt.refused(name, read_all, says)
    assert path.stem in sentence
    names = attempt.survived(f"{name}, on_error=skip", lambda: read_all("data.on_error=skip"))
    assert names is not None
    assert path.stem not in names
    assert len(names) == 7
    errors = [item for item in check(folder_data_unprepared(root)) if item.level == "ERROR"]
    assert any(says in line for item in errors for line in item.first), errors


def test_a_broken_pair_of_the_test_is_never_skipped(attempt, root):
    path = root / "raw" / f"{folder_data(root).source('test').names[0]}.png"
    dangling(path)
    attempt.refused("a dangling link in the test", lambda: folder_data(root, "data.on_error=skip"), path.name)


def test_a_name_that_is_not_utf_8(attempt, root):
    try:
        for folder in ("raw", "gt"):
            os.rename(root / folder / "1.png", os.fsencode(root / folder) + b"/\xff1.png")
    except OSError:
        pytest.skip("this file system takes no such names")
    attempt.refused("a name that is not UTF-8", lambda: folder_data(root), "\\xff1.png has a name that is not UTF-8")


def test_a_folder_that_leads_back_to_itself(attempt, root):
    (root / "raw" / "again").symlink_to(root / "raw")
    attempt.refused("a loop of folders", lambda: folder_data(root), "raw/again: remove the link")
    data = attempt.survived("a loop of folders, on_error=skip", lambda: folder_data(root, "data.on_error=skip"))
    assert len(data.source("train")) == 7


def test_images_of_different_sizes_in_one_batch(attempt, tmp_path, rng):
    for number in range(12):
        write_pair(tmp_path, number, rng, size=(32, 32) if number % 4 else (24, 40))
    settings = ["data.crop=null", "data.augment=false", "data.batch_size=4"]
    data = folder_data(tmp_path, *settings)
    sizes = {data.source("train").read(index)[0].shape for index in range(len(data.source("train")))}
    assert len(sizes) == 2
    for workers in some([0, 1], 1):
        data.num_workers = workers
        says = "data.eval_batch_size=1"
        attempt.refused("sizes that differ", lambda: list(data.train_dataloader()), says)
    attempt.refused(
        "sizes that differ, in an evaluation", lambda: list(DataLoader(PairDataset(data.source("train")), 9))
    )


def test_images_of_different_sizes_are_skipped(attempt, tmp_path, rng):
    for number in range(12):
        write_pair(tmp_path, number, rng, size=(24, 40) if number == 3 else (32, 32))
    data = folder_data(tmp_path, "data.crop=null", "data.augment=false", "data.batch_size=3", "data.on_error=skip")
    assert "3" in list(data.source("train").names)
    batches = attempt.survived("sizes that differ, on_error=skip", lambda: list(data.train_dataloader()))
    assert all(batch["raw"].shape == (3, 4, 16, 16) for batch in batches)
    assert "3 gives 40x24 pixels" in "".join(text for batch in batches for text in batch["skipped"])
