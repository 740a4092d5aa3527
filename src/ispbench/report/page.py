"""The page itself: its parts put together into one file that needs nothing else."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from ispbench.report.contents import contents

# In this order: each uses what stands before it.
_SCRIPTS = ("dom", "plot", "ranking", "pareto", "wins", "breakdown", "images", "ablations", "provenance", "main")


def report(results: Path, metric: str = "psnr", outputs: Path | None = None) -> str:
    """The report on a results folder, as HTML.

    Args:
        results: The results folder.
        metric: The score that ranks are by.
        outputs: Folder of the runs, whose checkpoints render the images; None for a page without images.

    Raises:
        UserError: if there is no such folder, for an unreadable record, or if no evaluation has the score.
    """
    return assemble(contents(results, metric, outputs))


def assemble(content: dict[str, Any]) -> str:
    """The page that shows a content."""
    parts = files("ispbench.report") / "page"
    script = "\n".join((parts / f"{name}.js").read_text() for name in _SCRIPTS)
    page = (parts / "page.html").read_text()
    for mark, text in (
        ("/*STYLE*/", (parts / "style.css").read_text()),
        ("/*SCRIPT*/", f'"use strict";\n{script}'),
        ("/*DATA*/", as_json(content)),
    ):
        page = page.replace(mark, text, 1)
    return page


def as_json(content: dict[str, Any]) -> str:
    """JSON that cannot end the element it stands in: names in records may hold any text, ``</script>`` too."""
    return json.dumps(content, allow_nan=False).replace("<", "\\u003c").replace("&", "\\u0026")
