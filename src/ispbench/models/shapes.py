"""Names and shapes of a network's tensors, as its options are read from them."""

import re
from collections.abc import Mapping
from typing import Any

import torch


class Shapes(dict[str, tuple[int, ...]]):
    """Tensor name to shape.

    >>> shapes = Shapes({"blocks.0.weight": (8, 4, 3, 3), "blocks.1.weight": (8, 8, 3, 3)})
    >>> shapes.count("blocks."), shapes["blocks.0.weight"][0]
    (2, 8)
    """

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "Shapes":
        """Of a state dict of tensors or arrays."""
        return cls({name: tuple(value.shape) for name, value in state.items()})

    def has(self, part: str) -> bool:
        """Whether a name contains `part`."""
        return any(part in name for name in self)

    def count(self, prefix: str) -> int:
        """How many members a list of modules has, which are numbered from 0 after `prefix`; 0 if there is none."""
        pattern = re.compile(re.escape(prefix) + r"(\d+)\.")
        return max((int(match[1]) + 1 for match in map(pattern.match, self) if match), default=0)


def on_meta(state: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The tensors or arrays of a state dict without their values; what else it holds is left out."""
    shapes = {name: tuple(value.shape) for name, value in state.items() if hasattr(value, "shape")}
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
