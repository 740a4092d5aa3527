"""Exact shortcuts: the same result in fewer operations than the description of a network has."""

from collections.abc import Iterator
from contextlib import contextmanager

_taken = True


def taken() -> bool:
    """Whether a network may take its shortcuts."""
    return _taken


@contextmanager
def without_shortcuts() -> Iterator[None]:
    """Networks run the operations of their descriptions, so that counts compare with published ones."""
    global _taken
    before, _taken = _taken, False
    try:
        yield
    finally:
        _taken = before
