"""Compare the baselines with their public implementations.

Loads equal weights into both, and compares what they make of equal inputs; the outputs of the public implementations
ship with the package. docs/parity.md explains the table.
"""

from dataclasses import dataclass
from pathlib import Path

from ispbench.cli.arguments import positional, setting
from ispbench.console import say
from ispbench.errors import UserError, suggest


@dataclass
class Settings:
    """What the verb takes."""

    networks: list[str] = positional("NETWORK", "names of networks (default: all that have a reference)")
    output: Path | None = setting(None, "also write the table to this Markdown file", metavar="FILE")


def run(settings: Settings) -> None:
    """Prints the table.

    Raises:
        UserError: for an unknown network, or if one is not equal to its public implementation.
    """
    from ispbench.parity.vectors import load_vectors

    vectors = load_vectors()
    if unknown := [name for name in settings.networks if name not in vectors]:
        hint = suggest(unknown[0], vectors)
        raise UserError(f"No reference vector of {', '.join(unknown)}.{hint} There are {', '.join(vectors)}.")
    from rich.progress import track

    from ispbench.files import write_atomically
    from ispbench.parity.compare import as_markdown, compare

    names = settings.networks or list(vectors)
    rows = [compare(vectors[name]) for name in track(names, "Comparing", transient=True)]
    markdown = as_markdown(rows)
    say(markdown)
    if settings.output:
        write_atomically(settings.output, markdown + "\n", "choose another output=")
    if different := [row.key for row in rows if not row.equal]:
        raise UserError(f"Not equal to the public implementation: {', '.join(different)}.")
