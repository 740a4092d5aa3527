"""Write the leaderboard as one HTML page with plots and images, outputs/report.html.

The page needs no network. Its images are rendered from the checkpoints of the runs, as far as these are in the output
folder; docs/report.md says what the page shows.
"""

from dataclasses import dataclass
from pathlib import Path

from ispbench.cli.arguments import setting
from ispbench.console import say
from ispbench.files import write_atomically


@dataclass
class Settings:
    """What the verb takes."""

    results: Path = setting(Path("results"), "results folder", metavar="DIR")
    output: Path = setting(Path("outputs/report.html"), "the page", metavar="FILE")
    metric: str = setting("psnr", "the score that ranks are by", metavar="SCORE")
    images: bool = setting(True, "render images from the checkpoints of the runs")
    outputs: Path = setting(Path("outputs"), "folder of the runs", metavar="DIR")


def run(settings: Settings) -> None:
    """Writes the page."""
    from ispbench.report.page import report

    page = report(settings.results, settings.metric, settings.outputs if settings.images else None)
    write_atomically(settings.output, page, "choose another output=FILE")
    say(f"wrote {settings.output} ({len(page.encode()) / 1e6:.1f} MB)")
