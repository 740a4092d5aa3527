"""Make a table and a plot of an ablation's runs, with the noise of the seeds.

docs/ablations.md explains both.
"""

from dataclasses import dataclass
from pathlib import Path

from ispbench.cli.arguments import positional, setting
from ispbench.console import say


@dataclass
class Settings:
    """What the verb takes."""

    name: str = positional("NAME", "the ablation, a file of conf/ablation/")
    results: Path = setting(Path("results"), "results folder", metavar="DIR")
    metric: str = setting("psnr", "the score that is plotted and tested for differences", metavar="SCORE")
    output: Path | None = setting(
        None, "the table, .csv, .json, .md, .tex or .html (default: RESULTS/ablations/NAME.csv)", metavar="FILE"
    )
    plot: Path | None = setting(None, "the plot (default: RESULTS/ablations/NAME.png)", metavar="FILE")


def run(settings: Settings) -> None:
    """Prints the tables and writes both files."""
    from ispbench.results.ablation import ablation_runs, draw, numbers, save_plot, sheet_of
    from ispbench.results.sheets import print_sheets, write_table

    comparisons = ablation_runs(settings.name, settings.results, settings.metric)
    sheets = [sheet_of(comparison, settings.metric) for comparison in comparisons]
    print_sheets(sheets)
    folder = settings.results / "ablations"
    output = settings.output or folder / f"{settings.name}.csv"
    plot = settings.plot or folder / f"{settings.name}.png"
    write_table(output, numbers(comparisons, settings.metric), sheets, f"Ablation {settings.name}", {})
    save_plot(draw(comparisons, settings.metric), plot)
    say(f"wrote {output} and {plot}")
