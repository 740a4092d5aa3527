"""What a model's output is compared with: the interface of every protocol, and the plain one.

A protocol is chosen in ``conf/protocol/`` and named in every record; ``docs/protocols.md`` explains them.
"""

from typing import Any, NamedTuple

from torch import Tensor

from ispbench.data.datamodule import PairedDataModule


class Reference(NamedTuple):
    """What outputs are scored against.

    Attributes:
        target: sRGB in [0, 1], shape (N, 3, H, W).
        mask: The valid pixels, which alone count, shape (N, 1, H, W), 0 or 1; None for all.
        veil: What outputs are multiplied by before they are scored, of the same shape; None for nothing.
    """

    target: Tensor
    mask: Tensor | None = None
    veil: Tensor | None = None


class OriginalGT:
    """The target as the dataset has it.

    Attributes:
        name: The second part of a record's protocol, as in ``zrr-v1/original-gt``.
    """

    name = "original-gt"

    def prepare(self, data: PairedDataModule) -> dict[str, Any]:
        """Makes what the test needs, before it starts.

        Returns:
            What the record's section on data should say besides.

        Raises:
            UserError: if it cannot be made.
        """
        return {}

    def reference(self, images: Tensor, batch: dict[str, Any]) -> Reference:
        """What some outputs are scored against.

        Args:
            images: Outputs as saved, shape (N, 3, H, W), sRGB in [0, 1].
            batch: Their batch of the test split.
        """
        return Reference(batch["target"].float())


def full_name(data: PairedDataModule, protocol: Any) -> str:
    """What a record says its scores are of and against: the dataset's version, its own target set, the protocol."""
    own = getattr(data, "target_set", OriginalGT.name)
    parts = [own] * (own != OriginalGT.name) + [protocol.name] * (protocol.name != OriginalGT.name)
    return f"{data.version}/{'-'.join(parts) or OriginalGT.name}"
