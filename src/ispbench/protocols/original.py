"""The plain protocol: the target as the dataset has it."""

from typing import Any

from torch import Tensor

from ispbench.protocols.base import ORIGINAL, Protocol, Reference


class OriginalGT(Protocol):
    """The target as the dataset has it."""

    name = ORIGINAL

    def reference(self, images: Tensor, batch: dict[str, Any]) -> Reference:
        """The target of each pair."""
        return Reference(batch["target"].float())
