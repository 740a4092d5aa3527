"""Keys: equal work has an equal key, other work another one."""

import importlib
import math
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ispbench.models.build import build_model
from ispbench.results.keys import canonical, code_digest, key_of

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(PLAIN)
def test_the_canonical_form_is_its_own_canonical_form(value):
    assert canonical(canonical(value)) == canonical(value)
    assert key_of({"value": value}) == key_of({"value": canonical(value)})


def test_order_writing_and_place_do_not_count_and_values_do():
    one = {"a": 1.0, "b": {"_target_": "here.Thing", "_partial_": True, "x": (1, 2)}}
    same = {"b": {"x": [1, 2], "_target_": "elsewhere.deep.Thing"}, "a": 1}
    assert key_of(one) == key_of(same)
    for other in ({"a": 2}, {"b": {"_target_": "here.Other", "x": [1, 2]}}, {"c": None}):
        assert key_of(one | other) != key_of(one)
    assert key_of({"a": True}) != key_of({"a": 1})
    assert key_of({"a": math.nan}) == key_of({"a": float("nan")})


MODULE = '''"""A network."""
from torch import nn
from {layers} import Block

class Net(nn.Module):
    """It renders."""
    def __init__(self, kernel=3):
        super().__init__()
        self.net = Block(kernel)
'''
LAYERS = "from torch import nn\n\ndef Block(k):\n    return nn.Conv2d(4, 12, {kernel})\n"


@pytest.fixture
def digest(tmp_path, monkeypatch):
    """The digest of a user's network whose files are as given."""
    monkeypatch.syspath_prepend(tmp_path)
    count = iter(range(100))

    def write_and_digest(module=MODULE, kernel="k"):
        number = next(count)
        names = [f"user_net_{number}", f"user_layers_{number}"]
        (tmp_path / f"{names[0]}.py").write_text(module.replace("{layers}", names[1]))
        (tmp_path / f"{names[1]}.py").write_text(LAYERS.format(kernel=kernel))
        importlib.invalidate_caches()
        found = code_digest(importlib.import_module(names[0]).Net)
        for name in names:
            sys.modules.pop(name)
        return found

    return write_and_digest


def test_what_the_code_does_counts_and_how_it_is_written_does_not(digest):
    first = digest()
    assert len(first) == 16
    assert digest() == first
    assert digest(MODULE.replace('"""It renders."""', '"""It renders sRGB."""  # well')) == first
    assert digest(MODULE.replace("kernel=3", "kernel=5")) != first


def test_what_it_imports_of_its_own_project_counts(digest):
    assert digest(kernel="k + 2") != digest()


def test_an_installed_library_has_no_digest():
    assert code_digest(torch.optim.Adam) == ""
    assert code_digest(torch.nn.L1Loss()) == ""


def test_networks_of_the_zoo_have_digests_of_their_own():
    digests = {name: code_digest(build_model(name)) for name in ("metaisp", "lan", "syenet")}
    assert all(map(len, digests.values()))
    assert len(set(digests.values())) == 3
