"""The texts of ``--help``, made without importing Hydra or torch."""

from collections.abc import Iterable, Mapping
from dataclasses import MISSING
from textwrap import fill

from ispbench.cli.arguments import Argument, arguments_of
from ispbench.cli.discovery import Verb, find_verbs
from ispbench.config import choices, groups

_WIDTH = 110


def program_help(verbs: Mapping[str, Verb]) -> str:
    """Usage, verbs, and the choices of every configuration group."""
    group_lines = "\n".join(
        fill(f"{group}: {', '.join(choices(group))}", _WIDTH, initial_indent="  ", subsequent_indent="      ")
        for group in groups()
    )
    return f"""ispbench trains and tests learned camera ISPs: RAW Bayer image in, sRGB photo out.

Usage:
  python -m ispbench [GROUP=CHOICE ...] [KEY=VALUE ...]   train, test, record
  python -m ispbench -m KEY=A,B ...                       a grid of runs
  python -m ispbench VERB [...]                           see below

Examples:
  python -m ispbench model=metaisp data=mini trainer.max_steps=300
  python -m ispbench model=metaisp data=zrr data.root=/data/ZRR
  python -m ispbench -m model=metaisp model.num_bases=4,8 seed=0,1,2

Verbs (VERB --help tells more):
{_listed((word, verb.summary) for word, verb in verbs.items())}

Groups and their choices:
{group_lines}

Flags:
  --cfg job            print the whole configuration of a run; --resolve follows its references
  -m, --multirun       run the grid of all comma-separated values
  --config-dir DIR     add your own configuration files
  --hydra-help         explain Hydra's own flags"""


def verb_help(verb: Verb, declaration: type | None) -> str:
    """Usage, description, commands, and every argument with its default.

    Args:
        verb: The verb.
        declaration: The dataclass of its arguments; None for one that has commands alone.
    """
    commands = find_verbs(verb) if verb.is_folder else {}
    arguments = arguments_of(declaration) if declaration else []
    usage = f"Usage: ispbench {verb.name}" + "".join(f" {word}" for word in _usage(arguments))
    if commands and declaration:
        usage += f"\n       ispbench {verb.name} COMMAND [...]"
    elif commands:
        usage += " COMMAND [...]"
    sections = [usage, verb.documentation]
    if commands:
        listed = _listed((word, command.summary) for word, command in commands.items())
        sections.append(f"Commands (COMMAND --help tells more):\n{listed}")
    for title, kind in (
        ("Arguments", "positional"),
        ("Settings, as KEY=VALUE or --KEY VALUE", "setting"),
        ("Overrides", "overrides"),
    ):
        if lines := [(_form(item), _explanation(item)) for item in arguments if item.kind == kind]:
            sections.append(f"{title}:\n{_listed(lines)}")
    return "\n\n".join(sections)


def _usage(arguments: Iterable[Argument]) -> list[str]:
    words = []
    for item in arguments:
        if item.kind == "positional":
            word = f"{item.metavar}..." if item.many else item.metavar
            required = item.least if item.many else item.default is MISSING
            words.append(word if required else f"[{word}]")
    kinds = {item.kind for item in arguments}
    return words + ["[SETTING=VALUE ...]"] * ("setting" in kinds) + ["[KEY=VALUE ...]"] * ("overrides" in kinds)


def _form(item: Argument) -> str:
    if item.kind == "setting":
        return f"--{item.shown} {item.metavar}" if item.dashes_only else f"{item.shown}={item.metavar}"
    return item.metavar if item.kind == "positional" else "KEY=VALUE"


def _explanation(item: Argument) -> str:
    default = item.default
    if item.kind == "overrides" or default in (None, "", MISSING):
        return item.help
    return f"{item.help} (default: {str(default).lower() if isinstance(default, bool) else default})"


def _listed(lines: Iterable[tuple[str, str]]) -> str:
    """Names and explanations in two columns."""
    lines = list(lines)
    width = min(max(len(name) for name, _ in lines), 24)
    indent = " " * (width + 4)
    return "\n".join(
        fill(text, _WIDTH, initial_indent=f"  {name:<{width}}  ", subsequent_indent=indent, break_on_hyphens=False)
        for name, text in lines
    )
