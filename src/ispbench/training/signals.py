"""Ctrl-C and SIGTERM, the sign by which Slurm and other schedulers end a job, both as an exception that saves first."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived."""


@contextmanager
def sigterm_as_exception() -> Iterator[None]:
    """Within, SIGTERM raises `Terminated`, as Ctrl-C raises KeyboardInterrupt."""
    try:
        previous = signal.signal(signal.SIGTERM, _raise)
    except ValueError:  # not the main thread: who started it decides
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def interruption(stop: SystemExit) -> BaseException:
    """What Lightning ended the process for: it turns an interruption into an exit."""
    from pytorch_lightning.utilities.exceptions import SIGTERMException

    if isinstance(stop, SIGTERMException):
        return Terminated()
    error: BaseException | None = stop
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return type(error)()
        error = error.__cause__ or error.__context__
    return stop  # submitit's, after it put the job into the queue again


def name(stop: BaseException) -> str:
    """How a record tells of it."""
    if isinstance(stop, SystemExit):
        return "queued again by Slurm"
    return "ended by SIGTERM" if isinstance(stop, Terminated) else "interrupted by the user"


def _raise(signum: int, frame: Any) -> None:
    raise Terminated
