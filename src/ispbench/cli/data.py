"""``ispbench data``: look at a dataset before a network does.

Arguments and settings are understood here, before anything slow is imported.
"""

import argparse
import sys
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

from ispbench.errors import UserError

_SPLITS = ("train", "val", "test")

# Command to the module whose `run(data, options)` does it, and what it does.
COMMANDS = MappingProxyType(
    {
        "check": (
            "ispbench.data.validation.check",
            "report missing, damaged or mixed-up files, implausible levels and CFA",
        ),
        "stats": ("ispbench.data.statistics", "print sizes, levels, colours and brightness of each split"),
        "show": ("ispbench.data.pair_grid", "write a PNG grid of pairs, or of full-resolution files"),
        "pack": ("ispbench.cli.data_pack", "decode all pairs once into one file per split"),
        "align": ("ispbench.cli.data_align", "warp the targets to their RAW, once for all models"),
    }
)


def main(arguments: list[str]) -> None:
    """Runs a command.

    Raises:
        UserError: for a mistake in the arguments, and for errors that a check found.
    """
    word = arguments[0] if arguments else "--help"
    if word in ("--help", "-h"):
        width = max(map(len, COMMANDS))
        lines = "\n".join(f"  {name:<{width}}  {purpose}" for name, (_, purpose) in COMMANDS.items())
        print(
            "Usage: ispbench data COMMAND [OPTIONS] data=NAME data.root=FOLDER [data.KEY=VALUE ...]\n\n"
            f"Commands (COMMAND --help tells more):\n{lines}"
        )
        return
    if word not in COMMANDS:
        raise UserError(f"Unknown command {word!r}; choose one of {', '.join(COMMANDS)}.")
    if word not in _PARSERS:
        import_module(COMMANDS[word][0]).main(arguments[1:])
        return
    options, overrides = _PARSERS[word]().parse_known_args(arguments[1:])
    if odd := [item for item in overrides if "=" not in item or item.startswith("-")]:
        raise UserError(f"Unknown argument {odd[0]!r}; overrides have the form data=NAME or data.KEY=VALUE.")
    try:
        _run(word, options, overrides)
    except KeyboardInterrupt:
        print("ispbench: Interrupted. The same command starts again; pack goes on where it stopped.", file=sys.stderr)
        sys.exit(130)


def _run(word: str, options: argparse.Namespace, overrides: list[str]) -> None:
    from omegaconf import OmegaConf

    from ispbench.config import compose

    config = compose(overrides)
    if missing := sorted(OmegaConf.missing_keys(config.data)):
        raise UserError(f"{missing[0]} has no default; give a value: {missing[0]}=...")

    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    try:
        data = instantiate(config.data)
    except InstantiationException as error:
        raise error.__cause__ if isinstance(error.__cause__, UserError) else error from None
    import_module(COMMANDS[word][0]).run(data, options)


def _parser(command: str, description: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=f"ispbench data {command}",
        usage="%(prog)s [OPTIONS] data=NAME data.root=FOLDER [data.KEY=VALUE ...]",
        description=description,
        epilog="Everything in conf/data/NAME.yaml can be overridden.",
        allow_abbrev=False,
    )


def _check() -> argparse.ArgumentParser:
    parser = _parser("check", "Check a dataset. Ends with an error if something is wrong.")
    parser.add_argument("--limit", type=_positive, help="read only so many pairs of each split (default: all)")
    return parser


def _stats() -> argparse.ArgumentParser:
    parser = _parser("stats", "Print what a dataset looks like in numbers.")
    parser.add_argument("--limit", type=_positive, default=1000, help="pairs to read of each split (default: 1000)")
    parser.add_argument("--output", type=Path, help="also write the numbers to this JSON file")
    return parser


def _show() -> argparse.ArgumentParser:
    parser = _parser(
        "show", "Write a PNG grid of pairs: a grey-world rendering of the RAW on the left, the target on the right."
    )
    parser.add_argument("--split", choices=_SPLITS, default="test", help="default: test")
    parser.add_argument("--count", type=_positive, default=8, help="how many, evenly spread (default: 8)")
    parser.add_argument("--names", default="", help="these pairs instead, comma-separated; also as SPLIT:NAME")
    parser.add_argument("--size", type=_positive, default=384, help="shrink larger images to this side (default: 384)")
    parser.add_argument("--full-resolution", action="store_true", help="the dataset's whole files without targets")
    parser.add_argument("--output", type=Path, default=Path("pairs.png"), help="default: pairs.png")
    return parser


def _pack() -> argparse.ArgumentParser:
    parser = _parser(
        "pack",
        "Decode all pairs once into one file per split, in the cache (ISPBENCH_CACHE). Training then uses "
        "it instead of the files, and rebuilds it when the files change. An interrupted packing continues where it "
        "stopped.",
    )
    parser.add_argument("--split", choices=_SPLITS, help="only this split (default: all)")
    parser.add_argument("--remove", action="store_true", help="delete the packed files instead")
    return parser


def _positive(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


_PARSERS = MappingProxyType({"check": _check, "stats": _stats, "show": _show, "pack": _pack})
