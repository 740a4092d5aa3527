"""The text of ``--help``, made without importing Hydra or torch."""

from collections.abc import Mapping
from textwrap import fill

from ispbench.config import choices, groups


def help_text(verbs: Mapping[str, tuple[str, str]]) -> str:
    """Usage, verbs, and the choices of every configuration group."""
    width = max(map(len, verbs))
    verb_lines = "\n".join(f"  {verb:<{width}}  {purpose}" for verb, (_, purpose) in verbs.items())
    group_lines = "\n".join(
        fill(f"{group}: {', '.join(choices(group))}", 110, initial_indent="  ", subsequent_indent="      ")
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
{verb_lines}

Groups and their choices:
{group_lines}

Flags:
  --cfg job            print the whole configuration of a run; --resolve follows its references
  -m, --multirun       run the grid of all comma-separated values
  --config-dir DIR     add your own configuration files
  --hydra-help         explain Hydra's own flags"""
