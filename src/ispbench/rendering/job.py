"""Photos one after the other, by one model or several; what fails is noted and the rest goes on."""

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

import ispbench
from ispbench.console import say
from ispbench.errors import mistake_in
from ispbench.rendering.lineup import Renderer
from ispbench.rendering.photo import Photo, Sensor, read_photo
from ispbench.rendering.saving import save
from ispbench.rendering.sheet import Panel, panel, sheet
from ispbench.rendering.whole import render


@dataclass
class Job:
    """What is done with each photo.

    Attributes:
        renderers: The models.
        sensor: Of Bayer images.
        scratch: Folder of scratch files.
        bits: Of a value, 8 or 16.
        memory: Bytes that a forward pass may take beyond model and RAW, on a CPU.
        failures: Why something could not be rendered, by photo; filled as the job goes on.
    """

    renderers: Sequence[Renderer]
    sensor: Sensor
    scratch: Path
    bits: int
    memory: int
    failures: dict[Path, list[str]] = field(default_factory=dict)

    def do(
        self, path: Path, results: Sequence[Path], sheet_path: Path | None, advance: Callable[[int, float], None]
    ) -> None:
        """Renders and saves one photo.

        Args:
            path: The photo.
            results: Where the rendering of each model goes.
            sheet_path: Where the contact sheet goes; None for none.
            advance: Called with the number of the model and the share of its work that was just done.
        """
        panels: list[Panel] = []
        photo: Photo | None = None
        with self._noting(path):
            photo = read_photo(path, self.sensor)
        if photo is None:
            return
        aspect = photo.camera.aspect if photo.camera else 1.0
        for number, (renderer, result) in enumerate(zip(self.renderers, results, strict=True)):
            with self._noting(path, f"{renderer.label}: " if len(results) > 1 else ""):
                raw = photo.balanced() if renderer.balanced else photo.raw
                image = render(
                    renderer.model,
                    raw,
                    self.scratch,
                    self.bits,
                    self.memory,
                    lambda share, number=number: advance(number, share),  # type: ignore[misc]
                )
                image = photo.upright(image)
                save(result, image, _exif(photo, renderer.label, image))
                if sheet_path:
                    panels.append(panel(renderer.title, image, _turned(photo, aspect)))
                say(f"{path}: {photo.about}{_balance(photo) if renderer.balanced else ''} -> {result}")
        if sheet_path and panels:
            with self._noting(path):
                image = sheet([*panels, *_references(photo, aspect)])
                save(sheet_path, image, _exif(photo, "contact sheet", image))
                say(f"{path}: contact sheet -> {sheet_path}")

    def summary(self, count: int) -> str:
        """Which of the `count` photos failed, and why."""
        reasons = "\n  ".join(reason for reasons in self.failures.values() for reason in reasons)
        names = f"{len(self.failures)} of {count} photos failed, {count - len(self.failures)} are saved."
        return f"{names}\n  {reasons}"

    @contextmanager
    def _noting(self, path: Path, who: str = "") -> Any:
        """Notes whatever goes wrong with one photo, so that the others are rendered."""
        try:
            yield
        except Exception as error:
            mistake = mistake_in(error)
            reason = str(mistake) if mistake else f"{type(error).__name__}: {error}"
            named = reason if str(path) in reason else f"{path}: {reason}"
            self.failures.setdefault(path, []).append(f"{who}{named}")


def _exif(photo: Photo, label: str, image: Any) -> Image.Exif:
    return photo.exif.of_rendering(f"ispbench {ispbench.__version__}, {label}", *image.shape[:2])


def _balance(photo: Photo) -> str:
    red, _, blue = photo.white_balance
    source = next((note for note in photo.assumed if note.startswith("no white balance")), "from the file")
    return f", white balance R x{red:.2f} B x{blue:.2f} ({source.split(' (')[0]})"


def _turned(photo: Photo, aspect: float) -> float:
    """The aspect of the pixels of an upright image."""
    return 1 / aspect if photo.camera and photo.camera.flip in (5, 6) else aspect


def _references(photo: Photo, aspect: float) -> list[Panel]:
    """What LibRaw and the camera make of a photo; nothing of a Bayer image."""
    from ispbench.raw.camera_targets import embedded_preview, libraw_rendering

    if photo.camera is None:
        return []
    panels = [panel("LibRaw", photo.upright(libraw_rendering(photo.camera)), _turned(photo, aspect))]
    preview = embedded_preview(photo.camera.path)
    if preview is not None:
        height, width = preview.shape[:2]
        panels.append(panel(f"camera's preview, {width}x{height}", photo.upright(preview)))
    return panels
