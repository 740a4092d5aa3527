"""Make a table and a plot of an ablation's runs, with the noise of the seeds.

docs/ablations.md explains both.
"""

from dataclasses import dataclass
from pathlib import Path

from ispbench.cli.arguments import positional, setting
from ispbench.console import say
from ispbench.files import write_atomically


@dataclass
class Settings:
    """What the verb takes."""

    name: str = positional("NAME", "the ablation, a file of conf/ablation/")
    results: Path = setting(Path("results"), "results folder", metavar="DIR")
    metric: str = setting("psnr", "the score that is plotted and tested for differences", metavar="SCORE")
    output: Path | None = setting(None, "the table (default: RESULTS/ablations/NAME.csv)", metavar="FILE")
    plot: Path | None = setting(None, "the plot (default: RESULTS/ablations/NAME.png)", metavar="FILE")


def run(settings: Settings) -> None:
    """Prints the tables and writes both files."""
    from ispbench.results.ablation import ablation_runs, as_csv, draw, save_plot, sheet_of
    from ispbench.results.sheets import print_sheets

    comparisons = ablation_runs(settings.name, settings.results, settings.metric)
    print_sheets([sheet_of(comparison, settings.metric) for comparison in comparisons])
    folder = settings.results / "ablations"
    output = settings.output or folder / f"{settings.name}.csv"
    plot = settings.plot or folder / f"{settings.name}.png"
    write_atomically(output, as_csv(comparisons, settings.metric), "choose another output=FILE")
    save_plot(draw(comparisons, settings.metric), plot)
    say(f"wrote {output} and {plot}")
