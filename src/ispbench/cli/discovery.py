"""The verbs there are: the files of ``cli/verbs/``, found without importing them.

``NAME.py`` is the verb NAME, an underscore in its name typed as a dash. A folder is a verb whose files are its
commands, such as ``ispbench data check``; it does something by itself if its ``__init__.py`` declares ``Settings``.
"""

import ast
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.machinery import FileFinder
from pathlib import Path

from ispbench.errors import UserError, suggest

ROOT = "ispbench.cli.verbs"


@dataclass(frozen=True)
class Verb:
    """A verb or a command of one.

    Attributes:
        name: As it is typed, such as ``data check``.
        module: Holds ``Settings`` and ``run(settings)``.
        is_folder: Whether it has commands.
        documentation: The module's docstring: a line that says what it does, then more for its own ``--help``.
    """

    name: str
    module: str
    is_folder: bool
    documentation: str

    @property
    def summary(self) -> str:
        """The first line of the documentation, as an item of a list."""
        line = self.documentation.partition("\n")[0].rstrip(".")
        return line[:1].lower() + line[1:]


def find_verbs(parent: Verb | None = None) -> dict[str, Verb]:
    """The verbs, or the commands of one, by the word that is typed."""
    package = parent.module if parent else ROOT
    found = {}
    for info in pkgutil.iter_modules(import_module(package).__path__):
        if info.name.startswith("_") or not isinstance(info.module_finder, FileFinder):
            continue
        path = Path(info.module_finder.path) / (f"{info.name}/__init__.py" if info.ispkg else f"{info.name}.py")
        word = info.name.replace("_", "-")
        name = f"{parent.name} {word}" if parent else word
        documentation = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        found[word] = Verb(name, f"{package}.{info.name}", info.ispkg, documentation)
    return found


def find_verb(words: Sequence[str]) -> tuple[Verb, Sequence[str]]:
    """The verb that words begin with, and the words after it.

    Raises:
        UserError: if they begin with no verb, naming those there are.
    """
    verbs = find_verbs()
    word, rest = words[0], words[1:]
    if word not in verbs:
        raise UserError(
            f"Unknown verb {word!r}.{suggest(word, verbs)} Verbs: {', '.join(verbs)}. Overrides have the form "
            "key=value; see --help."
        )
    verb = verbs[word]
    if not verb.is_folder or not rest:
        return verb, rest
    commands = find_verbs(verb)
    if rest[0] in commands:
        return commands[rest[0]], rest[1:]
    if not hasattr(import_module(verb.module), "Settings") and rest[0] not in ("--help", "-h"):
        known = ", ".join(commands)
        raise UserError(
            f"Unknown command {rest[0]!r} of ispbench {word}.{suggest(rest[0], commands)} Choose one of {known}."
        )
    return verb, rest
