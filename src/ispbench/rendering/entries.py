"""The models that a command line names, each with its weights and options."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ispbench.config import choices

DEFAULT = ("metaisp", "photos-v1/known-light")  # the model that renders where none is named, and its shipped weights


@dataclass
class Entry:
    """What the user typed about one model.

    Attributes:
        name: Of the model; None if its weights tell it.
        weights: Its checkpoint or run folder; None for a model without training.
        options: Overrides of its keys.
    """

    name: str | None = None
    weights: str | None = None
    options: list[str] = field(default_factory=list)


def entries_of(words: Sequence[str]) -> tuple[list[Entry], list[str]]:
    """The models among the overrides, and all other overrides.

    ``weights=`` belongs to the ``model=`` beside it, if that takes any and has none yet; else its tensors tell the
    model. Keys of a model (``model.width=8``) belong to the one before them. Where no model is named, it is `DEFAULT`.
    """
    entries: list[Entry] = []
    early: list[str] = []
    rest: list[str] = []
    for word in words:
        key, _, value = word.lstrip("+~").partition("=")
        last = entries[-1] if entries else None
        if key == "model":
            if last and last.name is None and _takes_weights(value):
                last.name = value
            else:
                entries.append(Entry(name=value))
        elif key == "weights":
            if last and last.weights is None and _takes_weights(str(last.name)):
                last.weights = value
            else:
                entries.append(Entry(weights=value))
        elif key.startswith("model."):
            (last.options if last else early).append(word)
        else:
            rest.append(word)
    if not entries:
        entries.append(Entry(*DEFAULT))
    entries[0].options = early + entries[0].options
    return entries, rest


def _takes_weights(name: str) -> bool:
    if name not in choices("model"):
        return True  # None for a model that its weights tell, or a mistake, which is named later
    import torch

    from ispbench.models.build import build_model

    with torch.device("meta"):
        return any(True for _ in build_model(name).parameters())
