"""The grammar of the words after a verb, one for all verbs.

A setting is typed as ``key=value``, ``--key=value`` or ``--key value``, one that is to be true also as ``--key``; the
last one typed counts. Any other ``key=value`` is an override of the configuration, where the verb takes them. The rest
is positional, and so are files that exist and everything after ``--``.
"""

import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import MISSING
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from ispbench.cli.arguments import Argument, arguments_of
from ispbench.config import keys
from ispbench.errors import UserError, suggest

T = TypeVar("T")
_ASSIGNMENT = re.compile(r"[~+]*[A-Za-z_][\w.@/-]*=|~")


def parse(declaration: type[T], words: Sequence[str], verb: str) -> T:
    """Reads the words after a verb into an instance of its dataclass.

    Args:
        declaration: The verb's dataclass; what its ``__post_init__`` raises comes up.
        words: As typed.
        verb: Its name, for errors.

    Raises:
        UserError: for a word that is not understood, a value of the wrong type, or something that is missing.
    """
    parser = _Parser(arguments_of(declaration), verb)
    parser.read(deque(words))
    return declaration(**parser.values())


class _Parser:
    def __init__(self, arguments: Sequence[Argument], verb: str) -> None:
        self.verb = verb
        self.settings = {item.shown: item for item in arguments if item.kind == "setting"}
        self.places = [item for item in arguments if item.kind == "positional"]
        self.open = next((item.name for item in arguments if item.kind == "overrides"), None)
        self.typed: dict[str, Any] = {}
        self.words: list[str] = []
        self.overrides: list[str] = []

    def read(self, words: deque[str]) -> None:
        while words:
            word = words.popleft()
            key, equals, text = word.partition("=")
            own = self.settings.get(key.replace("-", "_"))
            if word == "--":
                self.words.extend(words)
                return
            if word.startswith("-") and len(word) > 1:
                self._dashed(key, text if equals else None, words)
            elif equals and own and not own.dashes_only:
                self.typed[own.name] = own.convert(text)
            elif not _ASSIGNMENT.match(word) or (self.places and Path(word).exists()):
                self.words.append(word)
            else:
                self._override(word)

    def values(self) -> dict[str, Any]:
        """What was typed, by the name of the field.

        Raises:
            UserError: if something is missing, or words are left.
        """
        values: dict[str, Any] = {self.open: self.overrides} if self.open else {}
        left = deque(self.words)
        for place in self.places:
            if place.many:
                values[place.name] = [place.convert(word) for word in left]
                left.clear()
            elif left:
                values[place.name] = place.convert(left.popleft())
            found = len(values[place.name]) if place.many else place.name in values or place.default is not MISSING
            if found < (place.least or not place.many):
                raise UserError(f"Say {place.metavar}: {place.help}; `ispbench {self.verb} --help` tells more.")
        if left:
            self._refuse("argument", left[0], self.settings)
        for setting in self.settings.values():
            if setting.name not in self.typed and setting.default is MISSING:
                raise UserError(f"Say {setting.shown}={setting.metavar}: {setting.help}.")
        return values | self.typed

    def _dashed(self, key: str, text: str | None, words: deque[str]) -> None:
        setting = self.settings.get(key[2:].replace("-", "_")) if key.startswith("--") else None
        if setting is None:
            self._refuse("argument", key, [f"--{name.replace('_', '-')}" for name in self.settings])
        if text is None and setting.type is bool:
            text = words.popleft() if words and words[0].lower() in ("true", "false") else "true"
        elif text is None:
            if not words or words[0].startswith("--"):
                raise UserError(f"{key} needs a value: {key} {setting.metavar}.")
            text = words.popleft()
        self.typed[setting.name] = setting.convert(text)

    def _override(self, word: str) -> None:
        """Takes an override if its first word is a key of the configuration, or if it adds or deletes a key."""
        key = re.split(r"[.@/=]", word, maxsplit=1)[0]
        configured = keys() if self.open else []
        if not (self.open and (key[0] in "~+" or key in configured)):
            self._refuse("setting", key, [*self.settings, *configured])
        self.overrides.append(word)

    def _refuse(self, kind: str, word: str, valid: Iterable[str]) -> NoReturn:
        names = [f"--{name}" if setting.dashes_only else name for name, setting in self.settings.items()]
        names += ["overrides of the configuration"] * bool(self.open)
        takes = f"It takes {', '.join(names)}" if names else "It takes none"
        raise UserError(f"Unknown {kind} {word!r} of ispbench {self.verb}.{suggest(word, valid)} {takes}.")
