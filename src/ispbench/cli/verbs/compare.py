"""Compare rows of the leaderboard image by image.

Each name is a model, with all its seeds, or a part of an evaluation's id. Printed are paired differences with
intervals and tests, win rates, and the images behind them. The figure shows the images on which the rows differ most,
rendered by the checkpoints of the runs; without these, their scores.

  ispbench compare metaisp unet track=one-camera
  ispbench compare metaisp-photos-s0-original metaisp-photos-s1-original
  ispbench compare metaisp unet lan critical_difference=ranks.pdf

docs/leaderboard.md explains the statistics.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ispbench.cli.arguments import positional, setting
from ispbench.console import say, warn
from ispbench.errors import UserError

if TYPE_CHECKING:
    from ispbench.results.rows import Row


@dataclass
class Settings:
    """What the verb takes."""

    names: list[str] = positional("NAME", "models, or parts of ids of evaluations", at_least=2)
    metric: str = setting("psnr", "the score that is compared")
    protocol: str = setting("*", "rows of this protocol", metavar="PATTERN")
    track: str = setting("*", "rows scored on this track", metavar="PATTERN")
    budget: str = setting("*", "rows of this training budget", metavar="PATTERN")
    mixed: bool = setting(False, "compare rows of different training data or budgets as well")
    results: Path = setting(Path("results"), "results folder", metavar="DIR")
    outputs: Path = setting(Path("outputs"), "folder of the runs, for the images", metavar="DIR")
    figure: Path | None = setting(None, "the figure (default: OUTPUTS/comparisons/NAMES.png)", metavar="FILE")
    critical_difference: Path | None = setting(
        None, "a diagram of mean ranks over several datasets; needs ispbench[statistics]", metavar="FILE"
    )


def run(settings: Settings) -> None:
    """Prints the tables and writes the figures."""
    from ispbench.metrics.table import shown_as
    from ispbench.results.ablation import save_plot
    from ispbench.results.compared import SHOWN, compared_scores, comparison_sheets, means_over_datasets, names_of
    from ispbench.results.figures import draw_critical_difference, draw_images, draw_scores
    from ispbench.results.filters import Filters
    from ispbench.results.selection import selected
    from ispbench.results.sheets import print_sheets
    from ispbench.results.statistics import image_table

    filters = Filters(protocol=settings.protocol, track=settings.track, budget=settings.budget)
    sets = selected(settings.results, settings.names, settings.metric, filters, settings.mixed)
    place = settings.figure or settings.outputs / "comparisons" / f"{'-'.join(settings.names)}.png"
    for number, (rows, others) in enumerate(sets):
        scores = compared_scores(settings.results, rows, others, settings.metric)
        print_sheets(comparison_sheets(rows, scores))
        disputed = list(image_table(scores)["image"].head(SHOWN))
        pictures = _pictures(rows, disputed, settings.outputs)
        names = names_of(rows)
        path = place if len(sets) == 1 else place.with_stem(f"{place.stem}-{number + 1}")
        save_plot(draw_images(scores, names, pictures) if pictures else draw_scores(scores, names), path)
        say(f"wrote {path}")
    if settings.critical_difference:
        means = means_over_datasets([rows for rows, _ in sets], settings.names, settings.metric)
        save_plot(
            draw_critical_difference(means, shown_as(settings.metric).higher_is_better), settings.critical_difference
        )
        say(f"wrote {settings.critical_difference}")


def _pictures(rows: "Sequence[Row]", images: Sequence[str], outputs: Path) -> dict[str, dict[str, Any]]:
    """Renderings by image and row, as far as there are checkpoints; says of which rows there are none."""
    from ispbench.report.rendering import render_row
    from ispbench.results.figures import TARGET

    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        try:
            for image, sides in render_row(row, images, outputs).items():
                found.setdefault(image, {TARGET: sides.target})[row.key] = sides.output
        except UserError as error:
            warn(f"no images of {row.name}: {error}")
    return found
