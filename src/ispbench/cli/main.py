"""The command line: Hydra overrides run a training and test; a first word that names a verb runs that instead."""

import os
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from ispbench.errors import UserError
from ispbench.training.signals import Terminated

if TYPE_CHECKING:
    from omegaconf import DictConfig

# Verb to the module whose `main(arguments)` runs it, and what it does.
VERBS = MappingProxyType(
    {
        "ablation-report": ("ispbench.cli.ablation_report", "make a table and a plot of an ablation's runs"),
        "data": ("ispbench.cli.data", "check, measure, show or pack a dataset"),
        "leaderboard": ("ispbench.results.leaderboard", "print the leaderboard and write results/leaderboard.csv"),
        "models": ("ispbench.cli.models", "list the models with parameters, GMACs, input and paper"),
        "parity": ("ispbench.parity.compare", "compare the baselines with their public implementations"),
        "profile": ("ispbench.cli.profile", "time models, measure their memory, count their operations"),
        "render": ("ispbench.cli.render", "render whole camera files or Bayer images with a model"),
        "runs": ("ispbench.cli.runs", "list the local runs with state, score and time, or compare their settings"),
        "sweep": ("ispbench.cli.sweep", "run a W&B sweep file on this machine, without an account or a server"),
        "sync": ("ispbench.cli.sync", "upload the W&B runs that were made offline"),
    }
)

# What joblib, submitit and Ray raise when a process of theirs is gone.
_WORKER_DEATHS = ("TerminatedWorkerError", "UncompletedJobError", "WorkerCrashedError")


def main() -> None:
    """Runs ``python -m ispbench`` and ends the process with its exit status."""
    sys.exit(_guarded(lambda: _dispatch(sys.argv[1:])))


def _dispatch(arguments: list[str]) -> None:
    word = arguments[0] if arguments else ""
    if word in VERBS:
        import_module(VERBS[word][0]).main(arguments[1:])
    elif {"--help", "-h"} & set(arguments):
        from ispbench.cli.help import help_text

        print(help_text(VERBS))
    elif word and "=" not in word and word[0] not in "-~+":
        near = get_close_matches(word, VERBS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UserError(
            f"Unknown verb {word!r}.{hint} Verbs: {', '.join(VERBS)}. Overrides have the form key=value; see --help."
        )
    else:
        train(arguments)


def train(overrides: Sequence[str]) -> list[float | None]:
    """Runs a training, or the grid of ``-m``, as if the overrides were typed on the command line.

    Returns:
        The scores of the runs made in this process: the best validation PSNR, None where nothing was trained.

    Raises:
        UserError: for a mistake in the overrides or a run that failed.
        KeyboardInterrupt: if the user or SIGTERM stopped it.
    """
    import hydra

    from ispbench.config import compose_all, require_values

    for config in compose_all(overrides):  # a mistake in any cell of a grid is told before the first one trains
        require_values(config)

    # Errors come up as they are, instead of being printed by Hydra.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    scores: list[float | None] = []

    @hydra.main(config_path="pkg://ispbench.conf", config_name="config", version_base="1.3")
    def app(config: "DictConfig") -> float | None:
        scores.append(_run(config))
        return scores[-1]

    typed, sys.argv = sys.argv, [sys.argv[0], *overrides]
    try:
        app()
    finally:
        sys.argv = typed
    return scores


def _run(config: "DictConfig") -> float | None:
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from ispbench.config import require_values
    from ispbench.schema import validate, validate_device

    require_values(config)
    validate(config)  # the cells of sweepers that draw them as they go
    validate_device(config)
    from ispbench.training.run import run  # imports torch: what needs no torch is answered before

    hydra = HydraConfig.get()
    if hydra.mode != RunMode.MULTIRUN:
        return run(config)
    try:
        return run(config)
    except Exception as error:
        cell = f"#{hydra.job.num} of the grid"
        cause = error.__cause__ if isinstance(error.__cause__, UserError) else error
        reason = str(cause) if isinstance(cause, UserError) else f"{type(error).__name__}: {error}"
        print(f"ispbench: Cell {cell} failed: {reason}", file=sys.stderr)
        raise UserError(
            f"At least cell {cell} failed, as told above. Its record holds the traceback (see `ispbench runs`); the "
            "same command runs what is missing."
        ) from error


def _guarded(action: Callable[[], None]) -> int:
    """Runs an action; a user's mistake becomes one sentence, anything else keeps its traceback."""
    try:
        action()
    except UserError as error:
        return _complain(str(error))
    except KeyboardInterrupt as stop:
        what, status = ("Ended by SIGTERM", 143) if isinstance(stop, Terminated) else ("Interrupted", 130)
        return _complain(f"{what}. The same command goes on where this one stopped.", status)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        from hydra.errors import HydraException, InstantiationException
        from omegaconf.errors import OmegaConfBaseException

        if isinstance(error, InstantiationException):
            if isinstance(error.__cause__, UserError):
                return _complain(str(error.__cause__))
            raise
        if type(error).__name__ in _WORKER_DEATHS:
            return _complain(
                "A worker process of the grid died, killed or out of memory. The same command goes on where it stopped."
            )
        if isinstance(error, RuntimeError) and "srun" in str(error):
            return _complain("launcher=submitit_slurm found no srun; start it where Slurm is, or try submitit_local.")
        if not isinstance(error, HydraException | OmegaConfBaseException):
            raise

        from ispbench.config import explain

        return _complain(explain(error), 2)
    return 0


def _complain(sentence: str, status: int = 1) -> int:
    print(f"ispbench: {sentence}", file=sys.stderr)
    return status
