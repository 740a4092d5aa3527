"""Checkpoint files that are almost right."""

import io
import pickle
import random
import zipfile
from collections.abc import Callable

import torch

Mutation = Callable[[bytes, random.Random], bytes]


def flip_bits(raw: bytes, rng: random.Random) -> bytes:
    changed = bytearray(raw)
    for _ in range(rng.choice((1, 1, 2, 8))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(raw: bytes, rng: random.Random) -> bytes:
    return raw[: rng.randrange(len(raw))]


def cut_out(raw: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(raw))
    return raw[:start] + raw[start + rng.randrange(1, 4096) :]


def put_in(raw: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(raw))
    return raw[:start] + rng.randbytes(rng.randrange(1, 64)) + raw[start:]


def blank(raw: bytes, rng: random.Random) -> bytes:
    """As a disk does that has lost a block."""
    start = rng.randrange(len(raw)) // 512 * 512
    return raw[:start] + bytes(len(raw[start : start + 512])) + raw[start + 512 :]


def double(raw: bytes, rng: random.Random) -> bytes:
    return raw + raw[rng.randrange(len(raw)) :]


def change_member(raw: bytes, rng: random.Random) -> bytes:
    """Changes a member of the archive, or what it is called, and packs it again with right checksums."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(list(members))
    kind = rng.randrange(4)
    if kind == 0:
        del members[name]
    elif kind == 1:
        members[name] = rng.randbytes(rng.randrange(64))
    elif kind == 2:
        members[name + "x"] = members.pop(name)
    else:
        members[name] = members[rng.choice(list(members))]
    return _packed(members)


def change_pickle(raw: bytes, rng: random.Random) -> bytes:
    """Changes the pickle in the archive, which says what there is, and packs it again with right checksums."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = next(name for name in members if name.endswith("data.pkl"))
    change = rng.choice((flip_bits, cut, cut_out, put_in))
    members[name] = change(members[name], rng)
    return _packed(members)


def _packed(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


DAMAGES: tuple[Mutation, ...] = (flip_bits, cut, cut_out, put_in, blank, double)
FORGERIES: tuple[Mutation, ...] = (change_member, change_pickle)


def zipped(content: object) -> bytes:
    packed = io.BytesIO()
    torch.save(content, packed)
    return packed.getvalue()


def legacy(content: object) -> bytes:
    packed = io.BytesIO()
    torch.save(content, packed, _use_new_zipfile_serialization=False)
    return packed.getvalue()


class Runs:
    """A pickle that calls a function when it is loaded."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def pickled(content: object) -> bytes:
    return pickle.dumps(content, protocol=2)
