"""What ends the program: a sentence and an exit status for what the user can understand, a traceback for the rest."""

import errno
import os
import sys
from collections.abc import Callable

from ispbench.console import warn
from ispbench.errors import mistake_in
from ispbench.training.signals import Terminated

# By module: what joblib, submitit and Ray raise when a process of theirs is gone.
_WORKER_DEATHS = {
    "joblib.externals.loky.process_executor": "TerminatedWorkerError",
    "submitit.core.utils": "UncompletedJobError",
    "ray.exceptions": "WorkerCrashedError",
}
_PLACES = "set paths.outputs and paths.results, or ISPBENCH_CACHE for what is cached, to folders of yours"
_DISK = {
    errno.ENOSPC: "free some space or use another disk",
    errno.EDQUOT: "free some space or use another disk",
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), _PLACES),
    **dict.fromkeys((errno.EEXIST, errno.ENOTDIR, errno.ENAMETOOLONG), _PLACES),
}


def guarded(action: Callable[[], None], after_stop: str) -> int:
    """Runs an action and tells of what ended it.

    Args:
        action: What the program does.
        after_stop: What the user can expect after an interruption, as a sentence.

    Returns:
        The exit status. What `explain` has no words for comes up instead.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # an ASCII terminal shows ? instead of ending the program
    try:
        action()
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _silence()
        return 1
    except (KeyboardInterrupt, Exception) as error:
        told = explain(error, after_stop)
        if told is None:
            raise
        sentence, status = told
        if isinstance(error, OSError):
            _silence()
        warn(sentence)
        return status
    return 0


def explain(error: Exception | KeyboardInterrupt, after_stop: str) -> tuple[str, int] | None:
    """A sentence and the exit status for an error; None for one whose traceback is needed."""
    if mistake := mistake_in(error):
        return str(mistake), 1
    if isinstance(error, KeyboardInterrupt):
        what, status = ("Ended by SIGTERM", 143) if isinstance(error, Terminated) else ("Interrupted", 130)
        return f"{what}. {after_stop}", status
    if _is_of_configuration(error):
        from ispbench.config import explain as explain_configuration

        return explain_configuration(error), 2
    if isinstance(error, OSError) and error.errno in _DISK:
        return f"{error.filename or 'The output'} cannot be written ({error.strerror}); {_DISK[error.errno]}.", 1
    if any(isinstance(error, _loaded(module, name)) for module, name in _WORKER_DEATHS.items()):
        return (
            "A worker process of the grid died, killed or out of memory. The same command goes on where it stopped.",
            1,
        )
    if isinstance(error, RuntimeError) and 'Could not detect "srun"' in str(error):  # submitit's, without a class
        return "launcher=submitit_slurm found no srun; start it where Slurm is, or try submitit_local.", 1
    return None


def _is_of_configuration(error: BaseException) -> bool:
    kinds = _loaded("hydra.errors", "HydraException"), _loaded("omegaconf.errors", "OmegaConfBaseException")
    return isinstance(error, kinds) and not isinstance(error, _loaded("hydra.errors", "InstantiationException"))


def _loaded(module: str, name: str) -> tuple[type, ...]:
    """A class of a package; nothing where the package was never imported, and so cannot have raised it."""
    return (getattr(sys.modules[module], name),) if module in sys.modules else ()


def _silence() -> None:
    """Discards what a broken standard output still holds, over which the interpreter would stumble at its end."""
    try:
        sys.stdout.flush()
    except (OSError, AttributeError, ValueError):
        if sys.stdout is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
