"""``ispbench models``: every model with its size, input and paper."""

import argparse
from fnmatch import fnmatch

from ispbench.config import choices
from ispbench.errors import UserError


def main(arguments: list[str]) -> None:
    """``ispbench models``."""
    parser = argparse.ArgumentParser(
        prog="ispbench models", description="List the models with parameters, GMACs, input convention and paper."
    )
    parser.add_argument("patterns", nargs="*", default=["*"], metavar="PATTERN", help="names, such as 'awnet*'")
    parser.add_argument("--size", default="448x448", help="Bayer image the GMACs are counted at (default: 448x448)")
    options = parser.parse_args(arguments)
    names = [name for name in choices("model") if any(fnmatch(name, pattern) for pattern in options.patterns)]
    if not names:
        raise UserError(f"No model matches {', '.join(options.patterns)}; there are {', '.join(choices('model'))}.")
    try:
        height, width = (int(side) for side in options.size.split("x"))
    except ValueError as error:
        raise UserError(f"--size has the form HEIGHTxWIDTH, such as 448x448, not {options.size!r}.") from error

    from rich import box
    from rich.console import Console
    from rich.progress import track
    from rich.table import Table

    from ispbench.evaluation.complexity import complexity
    from ispbench.models.build import build_model

    console = Console()
    console.width = max(console.width, 120)
    table = Table(box=box.SIMPLE_HEAD, caption=f"GMACs at a Bayer image of {height}x{width}.")
    for heading in ("model", "parameters", "used", "GMACs"):
        table.add_column(heading, justify="left" if heading == "model" else "right", no_wrap=True)
    table.add_column("input")
    table.add_column("paper")
    for name in track(names, "Counting", transient=True):
        model = build_model(name)
        size = complexity(model, height, width)
        sizes = (f"{size.params:,}", f"{size.params_used:,}", f"{size.gmacs:.3f}")
        table.add_row(name, *sizes, model.input_kind, model.paper)
    console.print(table)
