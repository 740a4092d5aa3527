"""Bits of the cache that change, caches that are shared, and what killed processes leave in them."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ispbench.cli.verbs.data import check
from ispbench.data import packing
from ispbench.data.cache import build_once, cached
from ispbench.data.packed_file import PackedSource
from ispbench.data.packing import build_pack, check_pack, open_pack
from ispbench.data.pairs import PairDataset
from ispbench.data.photo_sets import find_files, hash_files
from ispbench.data.photographs import cached_photograph
from ispbench.data.sealed import DamagedError, SealedArray, read_json, sealed_json, write_array
from ispbench.errors import UserError
from ispbench.files import scratch_prefix, sweep, write_atomically
from ispbench.protocols.aligned import AlignedToRaw
from ispbench.protocols.aligned_targets import check_sets
from ispbench.protocols.flow import DIS
from ispbench.protocols.mapping import FittedGCM
from tests.data.test_camera import camera_data
from tests.data.test_folder import folder_data, write_pair
from tests.data.test_pack import Source, same
from tests.faults.harness import count, some
from tests.raw.dng import RGGB
from tests.raw.test_camera import photograph, scene


def flip(path, place):
    """Changes one bit of a file, without a trace in its size and time."""
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 1 << place % 8]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def places(path, full, few):
    """Random places in a file."""
    size = path.stat().st_size
    return np.random.default_rng(size).integers(size, size=count(full, few)).tolist()


def ends(path, few):
    """The places at the beginning and the end of a file, where its description is."""
    size = path.stat().st_size
    return some([*range(min(size, 150)), *range(max(0, size - 200), size)], few)


def test_a_changed_bit_of_an_array_is_noticed(attempt, tmp_path, rng):
    array, path = rng.integers(0, 256, (300, 20, 3)).astype(np.uint8), tmp_path / "a.npy"
    write_array(path, array)
    np.testing.assert_array_equal(np.load(path), array)
    np.testing.assert_array_equal(SealedArray(path)[100:200, 3:9], array[100:200, 3:9])
    for place in [*ends(path, 10), *places(path, 60, 10)]:
        flip(path, place)
        attempt.refused("a bit of a cached array", lambda: SealedArray(path)[:], str(path))
        flip(path, place)
    content = path.read_bytes()
    for length in some(range(0, len(content), 97), 10):
        path.write_bytes(content[:length])
        attempt.refused("a cached array cut short", lambda: SealedArray(path)[:], str(path))


def test_rows_are_verified_when_they_are_read_first(tmp_path, rng):
    array, path = rng.integers(0, 256, (4096, 1024)).astype(np.uint8), tmp_path / "a.npy"
    write_array(path, array)
    flip(path, 128 + 1024 * 2000)
    sealed = SealedArray(path)
    np.testing.assert_array_equal(sealed[:1900], array[:1900])
    with pytest.raises(DamagedError):
        sealed[1990:2010]


def test_a_changed_bit_of_a_description_is_noticed(attempt, tmp_path):
    path = tmp_path / "about.json"
    path.write_text(sealed_json({"sha256": "abc", "height": 3, "levels": [0.5, None]}))
    before = read_json(path)
    for place in some(range(path.stat().st_size), 20):
        flip(path, place)
        found = attempt.survived("a bit of a cached description", lambda: read_json(path))
        assert found in (None, before)  # a space for another is no damage
        flip(path, place)


def test_a_changed_bit_of_a_pack_is_mended_when_it_is_opened(attempt, tmp_path):
    source, path = Source([(8, 10)] * 6), tmp_path / "x.pack"
    build_pack(source, path)
    for place in [*ends(path, 8), *places(path, 60, 8)]:
        flip(path, place)
        assert check_pack(path)
        same(open_pack(source, path, build=False, skip=False), source)
        assert not check_pack(path)
        attempt.note("a bit of a pack", "made anew")


def test_a_changed_bit_of_a_large_pack_is_noticed_when_it_is_read(attempt, tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "_SAMPLED", 2)
    source, path = Source([(8, 10)] * 6), tmp_path / "x.pack"
    build_pack(source, path)
    flip(path, 3 * 400 + 77)
    packed = open_pack(source, path, build=False, skip=False)
    sentence = attempt.refused("a bit of a large pack", lambda: packed.read(3), "p3; delete it")
    assert check_pack(path) == [sentence]
    skipping = PairDataset(packed, skip=True)
    assert attempt.survived("a bit of a large pack, on_error=skip", lambda: skipping[3])["name"] == "p4"
    assert sentence in skipping[3]["skipped"]
    np.testing.assert_array_equal(packed.read(4)[1], source.pair(4)[1])


@pytest.fixture
def folder(tmp_path, rng):
    """Two photographs."""
    root = tmp_path / "photographs"
    root.mkdir()
    for name in "ab":
        Image.fromarray(rng.integers(0, 256, (40, 60, 3)).astype(np.uint8)).save(root / f"{name}.png")
    return root


def read_cached(folder, cache):
    hashes = hash_files(find_files([folder]), str(cache))
    photos = [cached_photograph(path, path.stem, sha256, str(cache)) for path, sha256 in hashes.items()]
    return {photo.name: (photo.key, photo.pixels[:].tobytes()) for photo in photos}


def test_damaged_photographs_of_the_cache_are_made_anew(attempt, folder, tmp_path, capsys):
    cache = tmp_path / "cache"
    before = read_cached(folder, cache)
    for path in [*sorted((cache / "photographs").iterdir()), cache / "hashes.json"]:
        for place in places(path, 20, 3):
            flip(path, place)
            assert read_cached(folder, cache) == before
            attempt.note("a bit of a cached photograph or hash", "made anew")
    assert "is damaged or of an earlier version; it is made anew" in capsys.readouterr().err


def test_a_photograph_is_not_decoded_under_the_hash_of_another(attempt, folder, tmp_path):
    cache = tmp_path / "cache"
    hash_files(find_files([folder]), str(cache))
    flip(folder / "a.png", 3000)
    attempt.refused("a bit of a photograph", lambda: read_cached(folder, cache), "a.png has changed")


def test_what_is_no_photograph_is_named(attempt, folder):
    os.mkfifo(folder / "c.png")
    attempt.refused("a pipe among photographs", lambda: find_files([folder]), "c.png is not a file with content")
    (folder / "c.png").unlink()
    (folder / "c.png").symlink_to("nothing")
    attempt.refused("a dangling link among photographs", lambda: find_files([folder]), "c.png is a link")
    left = attempt.survived("a dangling link, on_error=skip", lambda: find_files([folder], skip=True))
    assert [path.stem for path in left] == ["a", "b"]


@pytest.fixture
def camera_files(tmp_path, rng):
    for split in ("train", "val", "test"):
        (tmp_path / "photos" / split).mkdir(parents=True)
        photograph(tmp_path / "photos" / split / f"{split}.dng", scene(rng, 40, 64), RGGB, 64.0, jpeg=None)
    return tmp_path / "photos"


def test_damaged_developments_are_made_anew(attempt, camera_files, tmp_path):
    cache = tmp_path / "cache"

    def everything():
        data = camera_data(camera_files, f"data.cache={cache}")
        planes = [file.planes for file in data._developed()["train"]]
        return data.fingerprint(), [plane[:].tobytes() for pair in planes for plane in pair]

    before = everything()
    for path in sorted(cache.glob("*/train-*/*")):
        for place in places(path, 6, 1):
            flip(path, place)
            assert everything() == before
            attempt.note("a bit of a developed camera file", "made anew")


def test_camera_files_that_are_none(attempt, camera_files, rng):
    photograph(camera_files / "train" / "good.dng", scene(rng, 40, 64), RGGB, 64.0, jpeg=None)
    for breaks in (os.mkfifo, lambda path: path.symlink_to("nothing"), lambda path: path.write_bytes(b"no camera")):
        path = camera_files / "train" / "bad.dng"
        breaks(path)
        attempt.refused("a camera file that is none", lambda: camera_data(camera_files), "bad.dng")
        data = attempt.survived(
            "a camera file that is none, on_error=skip", lambda: camera_data(camera_files, "data.on_error=skip")
        )
        assert {name.partition("@")[0] for name in data.source("train").names} == {"train/good.dng", "train/train.dng"}
        path.unlink()


def test_changed_bits_of_aligned_targets_are_noticed(attempt, tmp_path, rng):
    for number in range(10):
        write_pair(tmp_path / "data", number, rng, size=(64, 64))
    cache = tmp_path / "cache"
    data = folder_data(tmp_path / "data", f"data.cache={cache}")
    protocol = AlignedToRaw(DIS(), FittedGCM(steps=2), cache=str(cache))
    before = protocol.targets(data, "test")
    assert not check_sets(data.version, str(cache))
    (index,) = cache.rglob("index.json")
    content = json.loads(index.read_text())
    for path in [*sorted(index.parent.glob("*.png")), index]:
        for place in places(path, 25, 5):
            flip(path, place)
            try:
                found = protocol.targets(data, "test")
                pixels = [found.pixels(number) for number in range(2)]
            except UserError:
                attempt.note("a bit of aligned targets", "a sentence")
                assert check_sets(data.version, str(cache))
            else:  # of what is no part of the result, such as a space or a name
                attempt.note("a bit of aligned targets", "no harm")
                assert found.checksum == before.checksum
                assert [before.pixels(number).tobytes() for number in range(2)] == [item.tobytes() for item in pixels]
            flip(path, place)
    assert json.loads(index.read_text()) == content


def test_the_check_verifies_all_of_the_cache(attempt, tmp_path, rng, capsys):
    for number in range(10):
        write_pair(tmp_path / "data", number, rng)
    options = ["data=folder", f"data.root={tmp_path / 'data'}", "data.black_level=0", "data.white_level=1023"]
    options.append(f"data.cache={tmp_path / 'cache'}")
    data = folder_data(tmp_path / "data", *options[1:], "data.pack=always")
    flip(data.pack_path("test"), 99)
    attempt.refused("data check of a changed pack", lambda: check.run(check.Settings(overrides=options)))
    told = capsys.readouterr().out
    assert "1 packed pairs are damaged" in told
    assert "test.pack is damaged at" in told


@pytest.mark.parametrize("mask, mode", [(0o022, 0o755), (0o002, 0o775), (0o077, 0o700)])
def test_what_is_cached_has_the_permissions_that_the_user_wants(attempt, tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        folder = build_once(tmp_path / "cache" / "entry", lambda scratch: write_array(scratch / "a.npy", np.ones(3)))
        write_atomically(tmp_path / "cache" / "file", "text")
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == mode
    for path in (folder / "a.npy", tmp_path / "cache" / "file"):
        assert path.stat().st_mode & 0o777 == mode & 0o666
    attempt.note("permissions of a cache", "as the umask says")


def as_somebody_else(action):
    """What an action prints when another user does it, in a process of his."""
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        text = io.StringIO()
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
                action()
        except BaseException as error:
            text.write(repr(error))
        os.write(writing, text.getvalue().encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        text = file.read()
    os.waitpid(process, 0)
    return text


def test_a_cache_of_somebody_else_shuts_nobody_out(attempt, monkeypatch):
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    home = Path(tempfile.mkdtemp(dir="/tmp"))
    shared, own = home / "shared", home / "own"
    monkeypatch.setenv("ISPBENCH_CACHE", str(shared))
    monkeypatch.setenv("XDG_CACHE_HOME", str(own))

    def use():
        for entry in ("open", "closed", "missing"):
            print(build_once(cached(entry), lambda scratch: (scratch / "mine").touch()))

    try:
        for folder, mode in ((home, 0o755), (shared, 0o755), (shared / "open", 0o755), (shared / "closed", 0o700)):
            folder.mkdir(exist_ok=True)
            folder.chmod(mode)
        own.mkdir()
        os.chown(own, 65534, 65534)
        told = as_somebody_else(use)
        places = [str(shared / "open"), str(own / "ispbench" / "closed"), str(own / "ispbench" / "missing")]
        assert [line for line in told.splitlines() if line.startswith("/")] == places, told
        assert told.count(f"The cache {shared} is not yours to write to") == 1
        assert (own / "ispbench" / "missing" / "mine").is_file()
        attempt.note("a cache of another user", "a sentence", 3)
    finally:
        shutil.rmtree(home)


def test_a_cache_that_is_no_folder_is_named(attempt, tmp_path):
    (tmp_path / "file").touch()
    attempt.refused(
        "a cache that is no folder",
        lambda: build_once(cached("entry", str(tmp_path / "file")), lambda scratch: None),
        "set ISPBENCH_CACHE to another folder",
    )


def test_what_a_killed_process_left_is_swept_and_a_living_one_is_let_be(attempt, tmp_path):
    code = (
        "import os, signal, tempfile\n"
        "from pathlib import Path\n"
        "from ispbench.data.cache import build_once\n"
        f"build_once(Path({str(tmp_path / 'entry')!r}), lambda scratch: os.kill(os.getpid(), signal.SIGKILL))\n"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    (left,) = tmp_path.iterdir()
    ours = tmp_path / f"{scratch_prefix('entry')}x"
    ours.mkdir()
    other = tmp_path / ".entry~another.machine~1~x"
    other.mkdir()
    build_once(tmp_path / "entry", lambda scratch: (scratch / "a").touch())
    assert not left.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"entry", ours.name, other.name}
    (tmp_path / f"{left.name}2").touch()
    sweep(tmp_path)
    assert not (tmp_path / f"{left.name}2").exists()
    attempt.note("SIGKILL while something is cached", "swept at the next start", 2)


def test_an_interrupted_build_leaves_nothing(attempt, tmp_path):
    def interrupted(scratch):
        (scratch / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_once(tmp_path / "cache" / "entry", interrupted)
    assert not list((tmp_path / "cache").iterdir())
    attempt.note("Ctrl-C while something is cached", "nothing is left")


def test_a_packed_source_is_what_it_was_after_pickling(tmp_path):
    source, path = Source([(8, 10)] * 3), tmp_path / "x.pack"
    build_pack(source, path)
    flip(path, 400 + 10)
    with pytest.raises(UserError, match="p1"):
        PackedSource(path).read(1)
