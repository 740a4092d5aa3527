"""``ispbench data align``: aligned targets, computed once for all models."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ispbench.errors import UserError

if TYPE_CHECKING:
    from ispbench.data.datamodule import PairedDataModule
    from ispbench.protocols.aligned import AlignedToRaw

_DEFAULT = "protocol=aligned-gt-raw"


def main(arguments: list[str]) -> None:
    """``ispbench data align``."""
    parser = argparse.ArgumentParser(
        prog="ispbench data align",
        usage="%(prog)s [OPTIONS] data=NAME data.root=FOLDER [protocol/flow=raft] [KEY=VALUE ...]",
        description="Warp the targets to their RAW by optical flow, once, for protocol=aligned-gt-raw. What is in the "
        "cache already is kept, also after an interruption.",
        epilog="docs/protocols.md explains the protocols.",
    )
    parser.add_argument("--split", choices=("train", "val", "test"), default="test", help="default: test")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="also draw pairs before and after the alignment")
    parser.add_argument("--names", default="", help="of the pairs to draw, separated by commas (default: the first)")
    parser.add_argument("--crop", type=int, default=160, help="side of what is drawn of each (default: 160)")
    options, overrides = parser.parse_known_args(arguments)
    if odd := [item for item in overrides if "=" not in item or item.startswith("-")]:
        parser.error(f"unknown argument {odd[0]}; overrides have the form data.KEY=VALUE")
    data, protocol = _load(overrides)
    targets = protocol.targets(data, options.split)
    print(f"protocol {data.version}/{protocol.name}, {options.split}: {len(targets.hashes)} targets")
    print(f"folder   {targets.folder}")
    print(f"checksum {targets.checksum}")
    print(f"valid    {targets.valid_share:.2%} of the pixels")
    if options.picture is not None:
        from ispbench.protocols.alignment_figure import draw

        wanted = [name for name in options.names.split(",") if name]
        draw(data, protocol, options.split, wanted, options.crop, options.picture)
        print(f"wrote    {options.picture}")


def _load(overrides: list[str]) -> "tuple[PairedDataModule, AlignedToRaw]":
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    from ispbench.config import compose
    from ispbench.protocols.aligned import AlignedToRaw

    named = any(item.startswith("protocol=") for item in overrides)
    config = compose(overrides if named else [_DEFAULT, *overrides])
    for part in ("data", "protocol"):
        if missing := sorted(OmegaConf.missing_keys(config[part])):
            raise UserError(f"{part}.{missing[0]} has no default; give a value: {part}.{missing[0]}=...")
    try:
        data, protocol = instantiate(config.data), instantiate(config.protocol)
    except InstantiationException as error:
        raise error.__cause__ if isinstance(error.__cause__, UserError) else error from None
    if not isinstance(protocol, AlignedToRaw):
        raise UserError("Only the targets of protocol=aligned-gt-raw are computed ahead; leave protocol= out.")
    data.prepare_data()
    return data, protocol
