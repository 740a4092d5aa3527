"""Checkpoints that are damaged, forged, swapped, or cannot be written."""

import builtins
import copy
import errno
import io
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import tempfile

import numpy as np
import pytest
import torch

from ispbench.checkpoint_files import PREVIOUS, read, write
from ispbench.checkpoints import identify, load_weights, newest_checkpoint
from ispbench.errors import UserError
from ispbench.models.build import build_model
from ispbench.training.trained import Trained, checkpoint_of
from tests.faults import fuzz
from tests.faults.harness import count, is_sentence, some
from tests.faults.test_signals import Send, kept, run, same
from tests.training.toy_training import data, train

MODEL = ("efficient_isp", [])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a toy training, and what it leaves."""
    folder = tmp_path_factory.mktemp("whole")
    pairs = data()
    train(folder, pairs=pairs)
    return folder, pairs, kept(folder)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return build_model(*MODEL)


@pytest.fixture(scope="module")
def originals(whole, model):
    """Files of all kinds that are read: how they are made, and what is in them."""
    state = model.net.state_dict()
    training = torch.load(whole[0] / "checkpoints" / "last.ckpt", weights_only=True)
    training["state_dict"] = {f"model.net.{name}": value for name, value in state.items()}
    training["ispbench"] = {"model": MODEL[0], "options": {}}
    return {
        "of ours": fuzz.zipped(training),
        "authors'": fuzz.zipped({"state_dict": state, "epoch": 3}),
        "bare": fuzz.zipped(dict(state)),
        "of an old torch": fuzz.legacy(dict(state)),
    }


def fuzzed(seed, originals):
    """A file that is almost right, what was done to it, and whether its checksums still tell."""
    rng = random.Random(seed)
    kind = list(originals)[seed % len(originals)]
    zips = kind != "of an old torch"
    mutation = rng.choice((*fuzz.DAMAGES, *(fuzz.FORGERIES * 3 if zips else ())))
    return kind, mutation, mutation(originals[kind], rng), zips and mutation in fuzz.DAMAGES


def test_fuzzed_files_are_a_sentence_or_whole(originals, model, tmp_path, attempt):
    wanted = {name: value.clone() for name, value in model.net.state_dict().items()}
    path = tmp_path / "x.ckpt"
    for seed in range(count(2000, 200)):
        kind, mutation, content, tells = fuzzed(seed, originals)
        path.write_bytes(content)
        what = f"file {kind}, {mutation.__name__}"
        fresh = copy.deepcopy(model)
        for value in fresh.parameters():
            value.data.fill_(7)
        attempt.survived(what, lambda fresh=fresh: load_weights(fresh, path, MODEL[0]))
        if tells:
            before = fresh.net.state_dict()
            loaded = all(torch.equal(before[name], value) for name, value in wanted.items())
            assert loaded or all((value == 7).all() for value in fresh.parameters()), (seed, what)
        attempt.survived("almost right files to resume", lambda: newest_checkpoint(path))
        attempt.survived("almost right files to identify", lambda: identify(path, MODEL[0]))


HOSTILE = {
    "system": fuzz.Runs(os.system, "touch ran"),
    "popen": fuzz.Runs(os.popen, "touch ran"),
    "Popen": fuzz.Runs(subprocess.Popen, ["touch", "ran"]),
    "eval": fuzz.Runs(eval, "open('ran', 'w')"),
    "exec": fuzz.Runs(exec, "open('ran', 'w')"),
    "open": fuzz.Runs(open, "ran", "w"),
    "import": fuzz.Runs(builtins.__import__, "os"),
    "mkdir": fuzz.Runs(os.mkdir, "ran"),
    "torch.load": fuzz.Runs(torch.load, "other"),
    "torch.save": fuzz.Runs(torch.save, 1, "ran"),
    "np.save": fuzz.Runs(np.save, "ran", 1),
    "pickle.loads": fuzz.Runs(pickle.loads, fuzz.pickled(fuzz.Runs(os.mkdir, "ran"))),
    "sys.exit": fuzz.Runs(sys.exit, 3),
    "a class": {"a": pytest.MonkeyPatch},
    "a function": {"a": os.system},
    "a module's object": io.StringIO("x"),
}
PLACES = {
    "alone": lambda hostile: hostile,
    "as a tensor": lambda hostile: {"state_dict": {"w": hostile}},
    "as a key": lambda hostile: {"state_dict": {}, "more": [hostile]},
}
PACKINGS = {"zipped": fuzz.zipped, "of an old torch": fuzz.legacy, "pickled": fuzz.pickled}


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_code_of_a_file_runs(hostile, place, packing, tmp_path, monkeypatch, attempt):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "hostile.pth"
    path.write_bytes(PACKINGS[packing](PLACES[place](HOSTILE[hostile])))
    for action in (lambda: read(path), lambda: newest_checkpoint(path)):
        sentence = attempt.refused(f"code in a file, {packing}", action, "hostile.pth")
        assert "weights_only" not in sentence
    assert [path.name for path in tmp_path.iterdir()] == ["hostile.pth"]


@pytest.mark.parametrize(
    "content, says",
    [
        ({1: torch.zeros(1)}, "not names but such as '1'"),
        ({"state_dict": {0: torch.zeros(1)}}, "no names but '0'"),
        ({"state_dict": {("a", 1): torch.zeros(1)}}, "no names but"),
        ({"state_dict": {"a": "text"}}, "is not a checkpoint of"),
        ({"state_dict": {"a": {"b": torch.zeros(1)}}}, "is not a checkpoint of"),
        ({"state_dict": {"a": None}}, "is not a checkpoint of"),
        ({}, "is not a checkpoint of"),
        ([torch.zeros(1)], "holds a list"),
        (torch.zeros(3), "holds a Tensor"),
        (None, "holds a NoneType"),
        ({"ispbench": {"model": 3}}, "is not a checkpoint of"),
        ({"ispbench": "x", "callbacks": 3, "global_step": "x"}, "is not a checkpoint of"),
    ],
)
def test_odd_content_is_a_sentence(content, says, model, tmp_path, attempt):
    torch.save(content, tmp_path / "odd.pth")
    attempt.refused("odd content", lambda: load_weights(model, tmp_path / "odd.pth", MODEL[0]), says)
    attempt.refused("odd content to resume", lambda: newest_checkpoint(tmp_path / "odd.pth"))
    attempt.refused("odd content to identify", lambda: identify(tmp_path / "odd.pth"))


@pytest.mark.parametrize("lacking", ["loops", "optimizer_states", "lr_schedulers", "callbacks", "state_dict", "epoch"])
def test_what_is_no_state_of_a_training_is_not_resumed(lacking, whole, tmp_path, attempt):
    content = dict(read(whole[0] / "checkpoints" / "last.ckpt").content)
    del content[lacking]
    torch.save(content, tmp_path / "x.ckpt")
    attempt.refused(
        "weights alone to resume", lambda: newest_checkpoint(tmp_path / "x.ckpt"), "with weights=FILE instead of resume"
    )


def test_a_file_that_is_swapped_after_it_was_read_does_not_matter(whole, tmp_path, attempt, monkeypatch):
    folder, pairs, wanted = whole
    (tmp_path / "checkpoints").mkdir()
    path = tmp_path / "checkpoints" / "last.ckpt"
    path.write_bytes((folder / "checkpoints" / "previous.ckpt").read_bytes())
    resume = newest_checkpoint(tmp_path)
    monkeypatch.chdir(tmp_path)
    path.write_bytes(fuzz.zipped(fuzz.Runs(os.mkdir, "ran")))
    train(tmp_path, resume=resume, pairs=pairs)
    assert not (tmp_path / "ran").exists()
    assert same_weights(read(path).content["state_dict"], wanted["last"][2])
    attempt.note("a file swapped between two looks", "the same weights")


DAMAGED = [["last"], ["best"], ["last", "best"], ["last", "previous"], ["best", "previous_best"]]


@pytest.mark.parametrize("damaged", DAMAGED, ids=" and ".join)
@pytest.mark.parametrize("mutation", some([fuzz.cut, fuzz.cut_out, fuzz.put_in], 1))
def test_a_damaged_checkpoint_gives_way_to_the_one_before(damaged, mutation, whole, tmp_path, attempt, capsys):
    _, pairs, wanted = whole
    run(tmp_path, pairs, Send("on_train_batch_start", 8, signal.SIGTERM))
    for name in damaged:
        path = tmp_path / "checkpoints" / f"{name}.ckpt"
        path.write_bytes(mutation(path.read_bytes(), random.Random(3)))
    assert run(tmp_path, pairs)
    told = capsys.readouterr().err
    assert all(f"{name}.ckpt " in told for name in damaged)
    assert "before it is taken" in told
    found = kept(tmp_path)
    if "best" in damaged:  # as good as the best validation that is left
        assert found["best"][1] <= wanted["best"][1]
    else:
        assert same(found, wanted)
    assert same_weights(found["last"][2], wanted["last"][2])
    attempt.note(f"{' and '.join(damaged)} damaged, {mutation.__name__}", "the one before")


def same_weights(one, other):
    return all(torch.equal(one[name], value) for name, value in other.items())


def test_what_is_scored_is_what_was_written(whole, tmp_path, attempt, capsys):
    folder = tmp_path / "checkpoints"
    shutil.copytree(whole[0] / "checkpoints", folder)
    hashes = {path.stem: read(path).hash for path in folder.iterdir()}
    trained = Trained({"training": {"checkpoints": hashes}}, tmp_path)
    for name in ("last", "best"):
        assert checkpoint_of(trained, name).hash == hashes[name]
    for name, other in PREVIOUS.items():
        shutil.copy(folder / f"{other}.ckpt", folder / f"{name}.ckpt")
    assert checkpoint_of(trained, "last") is None, "it can be made again"
    assert checkpoint_of(trained, "best").path.stem == "previous_best"
    told = capsys.readouterr().err
    assert "last.ckpt has changed" in told
    assert "best.ckpt has changed" in told
    (folder / "previous_best.ckpt").unlink()
    assert checkpoint_of(trained, "best") is None
    attempt.note("another file in the place of what is scored", "not scored", 3)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("time", some(range(1, 8), 2))
def test_a_disk_that_fails_keeps_what_is_there(number, time, whole, tmp_path, attempt, monkeypatch):
    _, pairs, wanted = whole
    left, before = [time], {}
    real = os.fsync

    def sync(handle):
        left[0] -= 1
        if left[0] > 0:
            return real(handle)
        before.update({path: path.read_bytes() for path in (tmp_path / "checkpoints").glob("*.ckpt")})
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", sync)
        with pytest.raises(UserError) as error:
            run(tmp_path, pairs)
    sentence = is_sentence(str(error.value))
    assert "the checkpoints before it are kept" in sentence
    assert ("bytes" in sentence) == (number in (errno.ENOSPC, errno.EDQUOT))
    assert {path: path.read_bytes() for path in (tmp_path / "checkpoints").glob("*.ckpt")} == before
    assert not list((tmp_path / "checkpoints").glob(".*")), "nothing half written stays"
    assert run(tmp_path, pairs)
    assert same(kept(tmp_path), wanted)
    attempt.note(f"{errno.errorcode[number]} while a checkpoint is written", "the one before, the same weights")


def test_the_temporary_folder_does_not_matter(whole, tmp_path, attempt, monkeypatch):
    _, pairs, wanted = whole
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr("shutil.move", None)
    assert run(tmp_path, pairs)
    assert same(kept(tmp_path), wanted)
    attempt.note("no temporary folder", "the same weights")


def test_what_a_killed_process_was_writing_is_removed(whole, tmp_path, attempt):
    _, pairs, _ = whole
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / ".last.ckpt~machine~1~x1").write_bytes(b"half")
    assert run(tmp_path, pairs)
    assert {path.stem for path in (tmp_path / "checkpoints").iterdir()} == {"best", "last", "previous", "previous_best"}
    attempt.note("half a file of a killed process", "removed")


def test_a_copy_beside_the_others_may_be_resumed(whole, tmp_path, attempt):
    _, pairs, wanted = whole
    run(tmp_path, pairs, Send("on_train_batch_start", 8, signal.SIGTERM))
    folder = tmp_path / "checkpoints"
    shutil.copy(folder / "last.ckpt", folder / "copy.ckpt")
    with attempt.keeps("a copy in the same folder", folder / "copy.ckpt"):
        train(tmp_path, resume=read(folder / "copy.ckpt"), pairs=pairs)
    assert same(kept(tmp_path), wanted)
    attempt.note("a copy in the same folder", "the same weights")


def test_bits_that_change_are_noticed(whole, tmp_path, attempt):
    content = bytearray((whole[0] / "checkpoints" / "last.ckpt").read_bytes())
    value = torch.load(io.BytesIO(bytes(content)), weights_only=True)["state_dict"]["model.net.0.weight"]
    place = content.find(value.numpy().tobytes())
    content[place + 1] ^= 1
    (tmp_path / "x.ckpt").write_bytes(bytes(content))
    assert not torch.equal(
        torch.load(tmp_path / "x.ckpt", weights_only=True)["state_dict"]["model.net.0.weight"], value
    ), "torch itself takes it"
    attempt.refused("one bit of a weight", lambda: read(tmp_path / "x.ckpt"), "bits of the file have changed")


def test_a_file_that_cannot_be_read_or_is_none_is_named(tmp_path, attempt):
    (tmp_path / "folder.ckpt").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "dangling").symlink_to(tmp_path / "none")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    for name in ("folder.ckpt", "loop", "dangling", "pipe", "none", "empty"):
        attempt.refused("no regular file", lambda name=name: read(tmp_path / name), name)


def test_a_checkpoint_is_written_with_all_it_holds(tmp_path):
    content = {"a": torch.arange(5), "b": [1, 2.5, "x"]}
    write(tmp_path / "last.ckpt", content)
    write(tmp_path / "last.ckpt", {**content, "b": []})
    assert read(tmp_path / "previous.ckpt").content["b"] == [1, 2.5, "x"]
    assert read(tmp_path / "last.ckpt").content["b"] == []
    assert torch.equal(read(tmp_path / "last.ckpt").content["a"], torch.arange(5))
