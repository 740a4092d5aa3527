"""What ends the program: a sentence and an exit status for what the user can understand, a traceback for the rest."""

import errno
import logging
import sys
from collections.abc import Callable

from ispbench.cli.streams import lasting_streams
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
_SPACE = "free some space or use another disk"
_DISK = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO), _SPACE),
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
    logging.raiseExceptions = False  # a log that cannot be written is no reason for a traceback
    with lasting_streams() as output:
        try:
            action()
        except (KeyboardInterrupt, Exception) as error:
            told = explain(error, after_stop)
            if told is None:
                raise
            sentence, status = told
            warn(sentence)
            return status
        output.flush()
    if output.failure is None:
        return 0
    if not isinstance(output.failure, BrokenPipeError):  # a reader that has left, such as head, has all it wants
        remedy = _DISK.get(output.failure.errno or 0, _SPACE)
        warn(f"The output cannot be written ({output.failure.strerror}); {remedy}.")
    return 1


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
