"""The models with what each costs, without building any, from ``catalog.json``.

``python -m ispbench.evaluation.catalog`` makes that file. Counts hold for the options of a model's
file: where those or the size are others, a model is counted anew.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ispbench.config import choices, model_settings
from ispbench.evaluation.sizes import SIZES

FILE = Path(__file__).with_name("catalog.json")


@dataclass(frozen=True)
class Entry:
    """A model as its file builds it.

    Attributes:
        name: A file of ``conf/model/``.
        year: Of the first publication that its citation names; None if it names none.
        params: Parameters of the bare network.
        params_used: Those that its output depends on.
        gmacs: Multiply-accumulates of one image, in 1e9, by the size of the Bayer image, such as ``448x448``.
        input: The authors' input convention.
        paper: Citation.
        options: Those of its file.
    """

    name: str
    year: int | None
    params: int
    params_used: int
    gmacs: dict[str, float]
    input: str
    paper: str
    options: dict[str, Any]


def entries(names: Sequence[str], size: tuple[int, int] = SIZES["448x448"]) -> list[Entry]:
    """The models of these names, with their GMACs at one size of the Bayer image (height, width)."""
    stored = {entry["name"]: Entry(**entry) for entry in json.loads(FILE.read_text(encoding="utf-8"))}
    found = []
    for name in names:
        entry = stored.get(name)
        if entry is None or entry.options != _options(name) or label_of(size) not in entry.gmacs:
            entry = count(name, [size])
        found.append(entry)
    return found


def count(name: str, sizes: Iterable[tuple[int, int]] = tuple(SIZES.values())) -> Entry:
    """Counts a model, on the meta device."""
    import torch

    from ispbench.evaluation.complexity import complexity
    from ispbench.models.build import build_model

    with torch.device("meta"):
        model = build_model(name)
    counted = {label_of(size): complexity(model, *size) for size in sizes}
    first = next(iter(counted.values()))
    year = re.search(r"\b(?:19|20)\d\d\b", model.paper)
    return Entry(
        name=name,
        year=int(year[0]) if year else None,
        params=first.params,
        params_used=first.params_used,
        gmacs={label: round(value.gmacs, 6) for label, value in counted.items()},
        input=model.input_kind,
        paper=model.paper,
        options=_options(name),
    )


def _options(name: str) -> dict[str, Any]:
    """The keys of a model's file, unresolved."""
    from omegaconf import OmegaConf

    options = OmegaConf.to_container(model_settings(name), resolve=False)
    assert isinstance(options, dict)
    return {str(key): value for key, value in options.items()}


def label_of(size: tuple[int, int]) -> str:
    """A size as it is written: ``448x448``."""
    return f"{size[0]}x{size[1]}"


if __name__ == "__main__":
    FILE.write_text(json.dumps([asdict(count(name)) for name in choices("model")], indent=1) + "\n")
