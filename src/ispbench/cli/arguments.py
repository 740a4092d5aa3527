"""What a verb takes: a dataclass that declares it, of which the verb gets an instance.

    @dataclass
    class Settings:
        photos: list[Path] = positional("FILE", "camera files or Bayer images", at_least=1)
        tile: int | None = setting(None, "side of the tiles in pixels", at_least=32)
        format: str = setting("png", "of the results", choices=("png", "jpg"))
        overwrite: bool = setting(False, "replace results that exist")
        overrides: list[str] = overrides()

Types are str, int, float, bool, Path, one of these or None, and for positional words a list.
"""

import dataclasses
import math
import types
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from ispbench.errors import UserError, suggest


def _number(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError
    return value


def _path(text: str) -> Path:
    if not text:
        raise ValueError
    return Path(text)


_READERS: dict[type, Callable[[str], Any]] = {
    str: str,
    int: int,
    float: _number,
    bool: lambda text: {"true": True, "false": False}[text.lower()],
    Path: _path,
}
_KINDS = {str: "some text", int: "a whole number", float: "a number", bool: "true or false", Path: "a path"}
_METAVARS = {str: "TEXT", int: "N", float: "X", bool: "true|false", Path: "PATH"}


def positional(metavar: str, help: str, *, default: Any = MISSING, at_least: int = 0) -> Any:
    """Declares a word that is known by its place, or for a field of type ``list`` all that are left.

    Args:
        metavar: Stands for the word in ``--help``.
        help: One line for ``--help``.
        default: The value where it is not typed; without one it must be.
        at_least: How many words a list needs.
    """
    return field(default=default, metadata={"kind": "positional", "help": help, "metavar": metavar, "least": at_least})


def setting(
    default: Any,
    help: str,
    *,
    metavar: str = "",
    choices: Sequence[str] = (),
    at_least: float | None = None,
    dashes_only: bool = False,
) -> Any:
    """Declares what is typed by its name.

    Args:
        default: The value where it is not typed; MISSING if it must be.
        help: One line for ``--help``.
        metavar: Stands for the value in ``--help``.
        choices: The valid values; none for any.
        at_least: The smallest number.
        dashes_only: Whether ``key=value`` belongs to the configuration, so that only ``--key`` means this setting.
    """
    about = {"help": help, "metavar": metavar, "choices": choices, "least": at_least, "dashes_only": dashes_only}
    return field(default=default, metadata={"kind": "setting", **about})


def overrides(help: str = "any key of the configuration, such as data.root=FOLDER") -> Any:
    """Declares that the verb takes overrides of the configuration, in a field of type ``list[str]``."""
    return field(default_factory=list, metadata={"kind": "overrides", "help": help})


@dataclass(frozen=True)
class Argument:
    """A field of a verb's dataclass, as the three functions above declare it.

    Attributes:
        name: Of the field.
        kind: positional, setting or overrides.
        type: Of a value, without ``| None``; of a list, of its items.
        optional: Whether a value may be None.
        many: Whether it takes any number of words.
        default: Its value where nothing is typed; MISSING if something must be.
        help: One line.
        metavar: What stands for a value.
        choices: The valid values; none for any.
        least: The smallest number, or how many words a list needs.
        dashes_only: See `setting`.
    """

    name: str
    kind: str
    type: Any
    optional: bool
    many: bool
    default: Any
    help: str
    metavar: str
    choices: tuple[str, ...]
    least: float | None
    dashes_only: bool

    @property
    def shown(self) -> str:
        """The name as it is typed; an underscore at the end of a field such as ``list_`` is not."""
        return self.metavar if self.kind == "positional" else self.name.rstrip("_")

    def convert(self, text: str) -> Any:
        """The value that a text stands for.

        Raises:
            UserError: if it stands for none.
        """
        if self.optional and text.lower() in ("null", "none"):
            return None
        if self.choices:
            if text not in self.choices:
                valid = ", ".join(self.choices)
                raise UserError(f"{self.shown} is one of {valid}, not {text!r}.{suggest(text, self.choices)}")
            return text
        least = self.least if self.kind == "setting" else None
        try:
            value = _READERS[self.type](text)
            if least is not None and value < least:
                raise ValueError
        except (ValueError, KeyError) as error:
            bound = "" if least is None else f" of at least {least:g}"
            raise UserError(f"{self.shown} is {_KINDS[self.type]}{bound}, not {text!r}.") from error
        return value


def arguments_of(declaration: type) -> list[Argument]:
    """The arguments that a dataclass declares."""
    hints = get_type_hints(declaration)
    return [_argument(item, hints[item.name]) for item in dataclasses.fields(declaration)]


def _argument(item: "dataclasses.Field[Any]", hint: Any) -> Argument:
    about = item.metadata
    optional, many = False, get_origin(hint) is list
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = (part for part in get_args(hint) if part is not types.NoneType)
        optional = True
    if many:
        (hint,) = get_args(hint)
    choices = tuple(about.get("choices", ()))
    return Argument(
        name=item.name,
        kind=about["kind"],
        type=hint,
        optional=optional,
        many=many,
        default=item.default,
        help=about["help"],
        metavar=about.get("metavar") or "|".join(choices) or _METAVARS[hint],
        choices=choices,
        least=about.get("least"),
        dashes_only=about.get("dashes_only", False),
    )
