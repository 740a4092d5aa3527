"""Ctrl-C and SIGTERM, by which Slurm and other schedulers end a job, as exceptions, so that the state can be saved."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived."""


@contextmanager
def sigterm_as_exception() -> Iterator[None]:
    """A context in which SIGTERM raises `Terminated`, as Ctrl-C raises KeyboardInterrupt."""
    try:
        previous = signal.signal(signal.SIGTERM, _raise)
    except ValueError:  # only the main thread may install handlers
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def stop_at_once(number: int) -> KeyboardInterrupt:
    """The exception by which a signal ends a training wherever it is, see `stops_at_once`."""
    return (Terminated if number == signal.SIGTERM else KeyboardInterrupt)("at once")


def stops_at_once(error: BaseException) -> bool:
    """Whether an interruption may have come amid a step, so that the state is not fit to be saved."""
    return isinstance(error, KeyboardInterrupt) and error.args == ("at once",)


def interruption(stop: SystemExit) -> BaseException:
    """The interruption behind a SystemExit: Lightning turns interruptions into exits."""
    from pytorch_lightning.utilities.exceptions import SIGTERMException

    if isinstance(stop, SIGTERMException):
        return Terminated()
    error: BaseException | None = stop
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return type(error)()
        error = error.__cause__ or error.__context__
    return stop  # submitit's, after it has requeued the job


def name(stop: BaseException) -> str:
    """The words for an interruption in a record."""
    if isinstance(stop, SystemExit):
        return "queued again by Slurm"
    return "ended by SIGTERM" if isinstance(stop, Terminated) else "interrupted by the user"


def _raise(signum: int, frame: Any) -> None:
    raise Terminated
