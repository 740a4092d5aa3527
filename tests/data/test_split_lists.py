import hashlib
import json
from importlib.resources import files

import pytest

from ispbench.data.split_lists import SplitList, choose_blocks


def content(name):
    return json.loads(files("ispbench.data").joinpath("splits", f"{name}.json").read_text())


def numbers(ranges):
    return [number for first, last in ranges for number in range(first, last + 1)]


# Written down here a second time: a change of a list is a new version of the dataset.
HASHES = {
    ("zrr-v1", "val"): (960, "05d310ba0dc528d1c34053c0ca094b42c1a68dceda65b98a9a47ceb1faecc597"),
    ("mai21-v1", "val"): (992, "cc16201c921bb6201ad473a7495cdec3352c67c5da7d0e774f3a18fb0b5ae514"),
    ("mai21-v1", "test"): (1632, "f49bd6f5a33dc2d15671427757b6c50ed9692ac2ef6dee2502a93ff324b88559"),
}


@pytest.mark.parametrize("name, split", HASHES)
def test_lists_are_the_released_ones(name, split):
    entry = content(name)["held_out"][split]
    listed = numbers(entry["ranges"])
    lines = "".join(f"{entry['folder']}/{number}\n" for number in listed)
    assert (len(listed), hashlib.sha256(lines.encode()).hexdigest()) == HASHES[name, split]
    assert SplitList.load(name).held_out[split] == (entry["folder"], frozenset(listed))


def test_lists_follow_their_rule():
    assert content("zrr-v1")["held_out"]["val"]["ranges"] == choose_blocks("zrr-v1/val", 46839, 0.0205)
    mai21 = content("mai21-v1")["held_out"]
    test = choose_blocks("mai21-v1/test", 32768, 0.05)
    assert mai21["test"]["ranges"] == test
    assert mai21["val"]["ranges"] == choose_blocks("mai21-v1/val", 32768, 0.03, [first // 32 for first, _ in test])


def test_splits_of_mai21_are_disjoint():
    held_out = SplitList.load("mai21-v1").held_out
    assert not held_out["val"][1] & held_out["test"][1]


def test_zrr_validation_comes_from_train_and_test_stays_whole():
    zrr = SplitList.load("zrr-v1")
    assert zrr.split_of("train", 960) == "val"
    assert zrr.split_of("train", 992) == "train"
    assert {zrr.split_of("test", number) for number in range(1204)} == {"test"}
    train = sum(zrr.split_of("train", number) == "train" for number in range(46839))
    assert train == 46839 - 960


def test_missing_numbers():
    zrr = SplitList.load("zrr-v1")
    assert zrr.missing("test", range(1204)) == (0, [])
    assert zrr.missing("test", set(range(1204)) - {0, 7}) == (2, [0, 7])
    mai21 = SplitList.load("mai21-v1")
    assert mai21.missing("train", range(1, 24201)) == (0, [])
    assert mai21.missing("train", set(range(24200)) - {5}) == (1, [5])
    assert mai21.missing("train", range(100)) == (23900, [])


def test_an_altered_list_is_refused(monkeypatch):
    altered = content("zrr-v1")
    altered["held_out"]["val"]["ranges"][0] = [0, 31]
    monkeypatch.setattr("ispbench.data.split_lists.json.loads", lambda _: altered)
    with pytest.raises(ValueError, match="val list of zrr-v1"):
        SplitList.load("zrr-v1")
