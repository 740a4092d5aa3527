"""List the models with parameters, GMACs, input convention and paper."""

from dataclasses import dataclass

from ispbench.cli.arguments import positional, setting
from ispbench.config import select
from ispbench.console import Column, table
from ispbench.evaluation.sizes import parse_size

_COLUMNS = (
    Column("model"),
    *(Column(heading, right=True) for heading in ("parameters", "used", "GMACs")),
    Column("input", fold=True),
    Column("paper", fold=True),
)


@dataclass
class Settings:
    """What the verb takes."""

    patterns: list[str] = positional("PATTERN", "names of models, such as 'awnet*' (default: all)")
    size: str = setting("448x448", "Bayer image the GMACs are counted at, or fullhd", metavar="HEIGHTxWIDTH")


def run(settings: Settings) -> None:
    """Prints the table."""
    names = select("model", settings.patterns or ["*"])
    height, width = parse_size(settings.size)
    from rich.progress import track

    from ispbench.evaluation.complexity import complexity
    from ispbench.models.build import build_model

    rows = []
    for name in track(names, "Counting", transient=True):
        model = build_model(name)
        size = complexity(model, height, width)
        numbers = (f"{size.params:,}", f"{size.params_used:,}", f"{size.gmacs:.3f}")
        rows.append((name, *numbers, model.input_kind, model.paper))
    table(_COLUMNS, rows, caption=f"GMACs at a Bayer image of {height}x{width}.", min_width=120)
