"""The examples in docstrings give what they say."""

import doctest
import importlib

import pytest

from tests.conftest import REPOSITORY

ROOTS = {"ispbench": REPOSITORY / "src" / "ispbench", "ispbench.baselines": REPOSITORY / "baselines"}


def modules_with_examples():
    for package, root in ROOTS.items():
        for path in sorted(root.rglob("*.py")):
            if ">>> " in path.read_text():
                parts = path.relative_to(root).with_suffix("").parts
                yield ".".join((package, *parts)).removesuffix(".__init__")


@pytest.mark.parametrize("name", modules_with_examples())
def test_the_examples_of_a_module(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0
