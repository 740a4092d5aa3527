"""The images of the report: rendered from the checkpoints of the runs, as far as these are at hand."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ispbench.console import warn
from ispbench.errors import UserError
from ispbench.results.rows import Row

TARGET = "target"
_MOST_ROWS = 8  # of a ranking whose renderings are shown
_ROOM = 3_500_000  # characters for the images of a page, which is to stay below 5 MB
_SIZES = ((1024, 85), (768, 80), (512, 75), (384, 70), (256, 60))  # longest side in pixels, and quality

Image = NDArray[np.uint8]


class Pictures:
    """The images of all rankings, which share the room of the page.

    Args:
        outputs: Folder of the runs; None for no images.
    """

    def __init__(self, outputs: Path | None) -> None:
        self.outputs = outputs
        self._boards: list[dict[str, dict[str, Image]]] = []

    def add(self, rows: Sequence[Row], images: Sequence[str]) -> str:
        """Renders images of a ranking.

        Args:
            rows: Of the ranking, the best first.
            images: The names of the images.

        Returns:
            Why there are no images; empty if there are.
        """
        found: dict[str, dict[str, Image]] = {}
        self._boards.append(found)
        if self.outputs is None:
            return "This page was made without images; the runs' checkpoints are not part of the results."
        from rich.console import Console
        from rich.progress import track

        from ispbench.report.rendering import render_row

        reasons: dict[str, list[str]] = {}
        shown = rows[:_MOST_ROWS]
        for row in track(shown, f"Rendering {rows[0].ranking.protocol}", transient=True, console=Console(stderr=True)):
            try:
                for image, sides in render_row(row, images, self.outputs).items():
                    place = found.setdefault(image, {})
                    place[row.key] = sides.output
                    place.setdefault(TARGET, sides.target)
            except UserError as error:
                reasons.setdefault(str(error), []).append(row.name)
        told = [f"{', '.join(names)}: {reason}" for reason, names in reasons.items()]
        if not found:
            return " ".join(["No images are at hand.", *told])
        for line in told:
            warn(f"no images of {line}")
        return ""

    def embedded(self) -> list[dict[str, dict[str, str]]]:
        """For each ranking, by image and row, an address that holds the image; in as much detail as there is room."""
        for side, quality in _SIZES:
            coded = [
                {
                    name: {row: _address(image, side, quality) for row, image in sides.items()}
                    for name, sides in board.items()
                }
                for board in self._boards
            ]
            if _length(coded) <= _ROOM:
                return coded
        while _length(coded) > _ROOM:
            max(coded, key=lambda board: _length([board])).popitem()
        return coded


def _length(boards: Sequence[dict[str, dict[str, str]]]) -> int:
    return sum(len(address) for board in boards for sides in board.values() for address in sides.values())


def _address(image: Image, side: int, quality: int) -> str:
    import PIL.Image

    picture: Any = PIL.Image.fromarray(image)
    picture.thumbnail((side, side))
    stream = io.BytesIO()
    picture.save(stream, "WEBP", quality=quality)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"
