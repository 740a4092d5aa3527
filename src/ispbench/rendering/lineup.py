"""The models that render side by side."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ispbench import pretrained
from ispbench.checkpoint_files import read
from ispbench.checkpoints import describe, identify, load_weights, weights_file
from ispbench.config import build, compose
from ispbench.errors import UserError
from ispbench.models.interface import ISPModel
from ispbench.rendering.entries import Entry


@dataclass(frozen=True)
class Renderer:
    """A model that renders.

    Attributes:
        label: Its name; numbered where several have it.
        model: In ``eval()``, on its device.
        balanced: Whether it takes white-balanced RAW.
        weights: Its checkpoint; None for a model without training.
    """

    label: str
    model: ISPModel
    balanced: bool
    weights: Path | None

    @property
    def title(self) -> str:
        """What tells it from others on a contact sheet."""
        return f"{self.label}, white-balanced RAW" if self.balanced else self.label


def line_up(entries: Sequence[Entry], common: Sequence[str], balanced: bool | None, device: str) -> list[Renderer]:
    """Builds the models and loads their weights.

    Networks that see the black level get the levels of their training, if the weights tell them, else those of the
    data.

    Args:
        entries: From `entries_of`.
        common: Overrides of all of them.
        balanced: Whether they take white-balanced RAW; None: if they were trained on it.
        device: auto, cpu or cuda.

    Raises:
        UserError: for a model that is unknown or untrained, or weights that do not fit.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("device=cuda, but torch finds no CUDA device; use device=cpu.")
    place = "cuda" if device == "cuda" or (device == "auto" and torch.cuda.is_available()) else "cpu"
    files = [read(weights_file(entry.weights, model=entry.name)) if entry.weights else None for entry in entries]
    found = [identify(file, entry.name) if file else None for entry, file in zip(entries, files, strict=True)]
    names = [about.name if about else str(entry.name) for entry, about in zip(entries, found, strict=True)]
    renderers = []
    for number, (entry, file, about, name) in enumerate(zip(entries, files, found, names, strict=True)):
        options = about.overrides if about else []
        config = compose([f"model={name}", *options, *common, *entry.options])
        model: ISPModel = build(config.model)
        told: dict[str, Any] = describe(file) if file else {}
        if file:
            load_weights(model, file, name)
        elif any(value.requires_grad for value in model.parameters()):
            shipped = [weights for owner, weights in pretrained.names() if owner == name]
            raise UserError(
                f"{name} is not trained; give its weights: weights={' or '.join([*shipped, 'RUN_FOLDER'])}."
            )
        model.set_levels(*told.get("levels", (config.data.black_level, config.data.white_level)))
        label = name if Counter(names)[name] == 1 else f"{name}-{names[: number + 1].count(name)}"
        takes_balanced = bool(told.get("balanced")) if balanced is None else balanced
        renderers.append(Renderer(label, model.eval().to(place), takes_balanced, file.path if file else None))
    return renderers
