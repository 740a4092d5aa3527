"""Reading many pairs with several threads; OpenCV releases Python's lock while it decodes."""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from ispbench.data.pairs import Pair, PairSource
from ispbench.errors import UserError

_THREADS = 8


def read_pairs(source: PairSource, indices: Iterable[int]) -> Iterator[tuple[int, Pair | UserError]]:
    """Reads pairs and yields them in order, or in place of a pair the error that names its file.

    Only a few pairs are held at a time. A source is read by one thread unless it is ``thread_safe``.
    """
    threads = min(_THREADS, os.cpu_count() or 1) if source.thread_safe else 1
    waiting: deque[tuple[int, Future[Pair | UserError]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for index in indices:
                waiting.append((index, pool.submit(_read, source, index)))
                if len(waiting) > 2 * threads:
                    position, future = waiting.popleft()
                    yield position, future.result()
            while waiting:
                position, future = waiting.popleft()
                yield position, future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def spread(length: int, count: int | None) -> list[int]:
    """At most `count` indices, evenly spread over `length`."""
    if count is None or count >= length:
        return list(range(length))
    return np.linspace(0, length - 1, count).astype(int).tolist()


def _read(source: PairSource, index: int) -> Pair | UserError:
    try:
        return source.read(index)
    except UserError as error:
        return error
