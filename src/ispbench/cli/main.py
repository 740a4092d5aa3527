"""The command line: a first word that names a verb runs it; overrides of the configuration run a training."""

import re
import sys
from collections.abc import Sequence
from importlib import import_module

from ispbench.cli.discovery import find_verb, find_verbs
from ispbench.cli.failures import guarded
from ispbench.cli.parsing import parse
from ispbench.console import say
from ispbench.training.signals import sigterm_as_exception

_HELP = {"--help", "-h"}
_TRAINING_GOES_ON = "The same command goes on where this one stopped."


def main() -> None:
    """Runs ``python -m ispbench`` and ends the process with its exit status."""
    words = sys.argv[1:]
    kept = "The same command keeps what was finished." if _names_verb(words) else _TRAINING_GOES_ON
    sys.exit(guarded(lambda: dispatch(words), kept))


def dispatch(words: Sequence[str]) -> None:
    """Does what the words of a command line say.

    Raises:
        UserError: for a mistake in the words, or what went wrong in doing it.
        KeyboardInterrupt: if the user or SIGTERM stopped it.
    """
    with sigterm_as_exception():
        _dispatch(words)


def _dispatch(words: Sequence[str]) -> None:
    if _names_verb(words):
        _run_verb(words)
    elif not words or _HELP & set(words):
        from ispbench.cli.help import program_help

        say(program_help(find_verbs()))
    else:
        from ispbench.cli.train import train

        with sigterm_as_exception():
            train(words)


def _names_verb(words: Sequence[str]) -> bool:
    return bool(words) and re.match(r"[^-~+=][^=]*$", words[0]) is not None


def _run_verb(words: Sequence[str]) -> None:
    verb, rest = find_verb(words)
    module = import_module(verb.module)
    declaration = getattr(module, "Settings", None)
    if declaration is None or _HELP & set(rest):
        from ispbench.cli.help import verb_help

        say(verb_help(verb, declaration))
    else:
        module.run(parse(declaration, rest, verb.name))
