"""The command line: Hydra overrides run a training and test; a first word that names a verb runs that instead."""

import os
import sys
from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from ispbench.errors import UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig

# Verb to the module whose `main(arguments)` runs it, and what it does.
VERBS = MappingProxyType(
    {
        "data": ("ispbench.data.cli", "check, measure, show or pack a dataset"),
        "leaderboard": ("ispbench.results.leaderboard", "print the leaderboard and write results/leaderboard.csv"),
        "models": ("ispbench.zoo", "list the models with parameters, GMACs, input and paper"),
        "parity": ("ispbench.parity.table", "compare the baselines with their public implementations"),
        "profile": ("ispbench.profile", "time models, measure their memory, count their operations"),
        "render": ("ispbench.render", "render whole camera files or Bayer images with a model"),
    }
)


def main() -> None:
    """Runs ``python -m ispbench`` and ends the process with its exit status."""
    sys.exit(_guarded(lambda: _dispatch(sys.argv[1:])))


def _dispatch(arguments: list[str]) -> None:
    word = arguments[0] if arguments else ""
    if word in VERBS:
        import_module(VERBS[word][0]).main(arguments[1:])
    elif {"--help", "-h"} & set(arguments):
        from ispbench.help import help_text

        print(help_text(VERBS))
    elif word and "=" not in word and word[0] not in "-~+":
        near = get_close_matches(word, VERBS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UserError(
            f"Unknown verb {word!r}.{hint} Verbs: {', '.join(VERBS)}. Overrides have the form key=value; see --help."
        )
    else:
        _hydra()


def _hydra() -> None:
    import hydra

    # Errors come up to `_guarded` as they are, instead of being printed by Hydra.
    os.environ["HYDRA_FULL_ERROR"] = "1"

    @hydra.main(config_path="pkg://ispbench.conf", config_name="config", version_base="1.3")
    def app(config: "DictConfig") -> float | None:
        scores: list[float | None] = []
        if status := _guarded(lambda: scores.append(_run(config))):
            sys.exit(status)
        return scores[0]

    app()


def _run(config: "DictConfig") -> float | None:
    from ispbench.config import require_values

    require_values(config)
    from ispbench.training.run import run  # imports torch: what needs no torch is answered before

    return run(config)


def _guarded(action: Callable[[], None]) -> int:
    """Runs an action; a user's mistake becomes one sentence, anything else keeps its traceback."""
    try:
        action()
    except UserError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        return _complain("Interrupted. Continue a training with resume=RUN_FOLDER and the same overrides.", 130)
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
        if not isinstance(error, HydraException | OmegaConfBaseException):
            raise

        from ispbench.config import explain

        return _complain(explain(error), 2)
    return 0


def _complain(sentence: str, status: int = 1) -> int:
    print(f"ispbench: {sentence}", file=sys.stderr)
    return status
