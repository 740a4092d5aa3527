import multiprocessing
import os
import pickle
from collections import namedtuple

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ispbench.data import packing as pack
from ispbench.data.packing import PackedSource, build_pack, is_current, open_pack
from ispbench.data.pairs import PairSource
from ispbench.errors import UserError
from tests.data.test_folder import folder_data, write_pair


class Source(PairSource):
    """Random pairs of given shapes; some cannot be read."""

    def __init__(self, shapes, broken=(), stamp="s"):
        self.shapes = shapes
        self.broken = set(broken)
        self.names = [f"p{number}" for number in range(len(shapes))]
        self.fingerprint = "f"
        self.stamp = stamp
        self.reads = []

    def __len__(self):
        return len(self.shapes)

    def pair(self, index):
        rng = np.random.default_rng(index)
        shape = self.shapes[index]
        return rng.integers(0, 2**16, shape).astype(np.uint16), rng.integers(0, 256, (*shape, 3)).astype(np.uint8)

    def read(self, index):
        self.reads.append(index)
        if index in self.broken:
            raise UserError(f"p{index}.png is broken")
        return self.pair(index)


def same(packed, source):
    for index in range(len(source)):
        for ours, theirs in zip(packed.read(index), source.pair(index), strict=True):
            np.testing.assert_array_equal(ours, theirs)


shapes = st.lists(st.tuples(*[st.integers(1, 20).map(lambda half: 2 * half)] * 2), min_size=1, max_size=8)


@given(shapes)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
def test_packed_pairs_equal_the_source(tmp_path_factory, shapes):
    source, path = Source(shapes), tmp_path_factory.mktemp("pack") / "x.pack"
    build_pack(source, path)
    packed = PackedSource(path)
    assert list(packed.names) == source.names
    assert packed.fingerprint == source.fingerprint
    same(packed, source)
    same(pickle.loads(pickle.dumps(packed)), source)


def test_what_is_read_can_be_written_to_without_changing_the_file(tmp_path):
    source, path = Source([(8, 8)]), tmp_path / "x.pack"
    build_pack(source, path)
    packed = PackedSource(path)
    mosaic, target = packed.read(0)
    mosaic[:] = 0
    target[:] = 0
    same(packed, source)


def test_an_interrupted_packing_goes_on_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(pack, "_CHUNK", 2)
    source, path = Source([(8, 8)] * 9, broken=[5]), tmp_path / "x.pack"
    with pytest.raises(UserError, match=r"p5\.png is broken"):
        build_pack(source, path)
    assert not path.exists()
    source.broken, source.reads = set(), []
    with (tmp_path / "x.part").open("ab") as file:
        file.write(b"half a pair")
    build_pack(source, path)
    assert min(set(source.reads) - {5}) > 5
    assert {item.name for item in tmp_path.iterdir()} <= {"x.pack", "x.pack.lock"}
    same(PackedSource(path), source)


def test_a_part_of_other_files_is_not_continued(tmp_path, monkeypatch):
    monkeypatch.setattr(pack, "_CHUNK", 1)
    path = tmp_path / "x.pack"
    with pytest.raises(UserError):
        build_pack(Source([(8, 8)] * 4, broken=[3], stamp="old"), path)
    source = Source([(4, 4)] * 4, stamp="new")
    build_pack(source, path)
    same(PackedSource(path), source)


def test_skipping_notes_the_reason(tmp_path):
    path = tmp_path / "x.pack"
    source = Source([(8, 8)] * 3, broken=[1])
    build_pack(source, path, skip=True)
    packed = PackedSource(path)
    with pytest.raises(UserError, match=r"p1\.png is broken"):
        packed.read(1)
    np.testing.assert_array_equal(packed.read(2)[0], source.pair(2)[0])


def test_a_full_disk_is_noticed_before_the_work(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")(10**9, 10**9, 10**6)
    monkeypatch.setattr(pack.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UserError, match=r"needs about 0\.1 GB, but .* has 0\.0 GB free"):
        build_pack(Source([(8, 8)] * 3), tmp_path / "x.pack")


def test_a_damaged_pack_is_made_anew(tmp_path):
    source, path = Source([(8, 8)] * 3), tmp_path / "x.pack"
    build_pack(source, path)
    path.write_bytes(path.read_bytes()[:-10])
    assert not is_current(source, path)
    same(open_pack(source, path, build=False, skip=False), source)


def pack_all(data):
    for split in ("train", "val", "test"):
        build_pack(data.open(split), data.pack_path(split))


@pytest.fixture
def root(tmp_path, rng):
    for number in range(10):
        write_pair(tmp_path / "data", f"p{number}", rng)
    return tmp_path / "data"


def test_training_uses_a_pack_and_makes_it_anew_when_the_files_change(root, tmp_path, rng):
    cache = f"data.cache={tmp_path / 'cache'}"
    plain = folder_data(root, cache)
    assert not isinstance(plain.source("train"), PackedSource)
    pack_all(plain)
    packed = folder_data(root, cache)
    assert isinstance(packed.source("train"), PackedSource)
    assert packed.fingerprint() == plain.fingerprint()
    name = plain.source("train").names[0]
    np.testing.assert_array_equal(packed.source("train").read(0)[0], plain.source("train").read(0)[0])

    mosaic, _ = write_pair(root, name, rng)
    again = folder_data(root, cache)
    assert isinstance(again.source("train"), PackedSource)
    np.testing.assert_array_equal(again.source("train").read(0)[0], mosaic)


def test_a_pack_is_made_on_demand_and_can_be_left_alone(root, tmp_path):
    cache = f"data.cache={tmp_path / 'cache'}"
    assert isinstance(folder_data(root, cache, "data.pack=always").source("val"), PackedSource)
    assert not isinstance(folder_data(root, cache, "data.pack=never").source("val"), PackedSource)


def resident_mb(path, reads, queue):
    source = PackedSource(path)
    process = psutil.Process(os.getpid())
    source.read(0)
    before = process.memory_info().rss
    for index in range(reads):
        mosaic, target = source.read(index)
        mosaic.sum(), target.sum()
    queue.put((process.memory_info().rss - before) / 1e6)


def test_reading_a_whole_pack_keeps_none_of_it(tmp_path):
    path = tmp_path / "x.pack"
    build_pack(Source([(448, 448)] * 60), path)
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=resident_mb, args=(path, 60, queue))
    process.start()
    grown = queue.get(timeout=120)
    process.join()
    assert path.stat().st_size > 60e6
    assert grown < 10
