"""What a model's output is compared with: the base class of every protocol.

A protocol is chosen in ``conf/protocol/``, where a YAML with its ``_target_`` is all it takes to add one. Every record
names the protocol of its scores; ``docs/protocols.md`` explains them.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from torch import Tensor

from ispbench.data.datamodule import PairedDataModule
from ispbench.errors import UserError

ORIGINAL = "original-gt"


class Reference(NamedTuple):
    """What outputs are scored against.

    Attributes:
        target: sRGB in [0, 1], shape (N, 3, H, W).
        mask: The valid pixels, which alone count, shape (N, 1, H, W), 0 or 1; None for all.
        premultiplied_mask: What outputs are multiplied by before they are scored, of the same shape; None for nothing.
    """

    target: Tensor
    mask: Tensor | None = None
    premultiplied_mask: Tensor | None = None


class Protocol(ABC):
    """What outputs are compared with.

    Attributes:
        name: The second part of a record's protocol, as in ``zrr-v1/original-gt``.
        places: Attributes that say where files lie and do not decide a score.
    """

    name: str
    places: ClassVar[tuple[str, ...]] = ("cache",)

    def prepare(self, data: PairedDataModule, split: str) -> dict[str, Any]:
        """Makes what scoring a split needs, before it starts.

        Returns:
            What the record's section on data should say besides.

        Raises:
            UserError: if it cannot be made.
        """
        return {}

    @abstractmethod
    def reference(self, images: Tensor, batch: dict[str, Any]) -> Reference:
        """What some outputs are scored against.

        Args:
            images: Outputs as saved, shape (N, 3, H, W), sRGB in [0, 1].
            batch: Their batch, canonical: ``raw``, ``target``, ``index``, ``name``.
        """

    def targets(self, data: PairedDataModule, split: str) -> Any:
        """The targets of a split where they are computed once for all models, as ``ispbench data align`` does.

        Raises:
            UserError: if this protocol computes none ahead.
        """
        raise UserError(f"protocol={self.name} computes no targets ahead; aligned-gt-raw does.")

    def identity(self) -> dict[str, Any]:
        """What decides a score: the name and every public setting, those of parts included."""
        return {"name": self.name, **_settings(self, self.places)}

    def full_name(self, data: PairedDataModule) -> str:
        """What a record says its scores are of and against: the dataset's version, its own target set, the protocol."""
        own = getattr(data, "target_set", ORIGINAL)
        parts = [part for part in (own, self.name) if part != ORIGINAL]
        return f"{data.version}/{'-'.join(parts) or ORIGINAL}"


def _settings(part: Any, without: tuple[str, ...]) -> dict[str, Any]:
    settings = {}
    for name, value in vars(part).items():
        if name.startswith("_") or name in without:
            continue
        if isinstance(value, str | int | float | bool | list | tuple | Mapping) or value is None:
            settings[name] = value
        else:
            settings[name] = {"_target_": type(value).__name__, **(_settings(value, without) if _plain(value) else {})}
    return settings


def _plain(value: Any) -> bool:
    return hasattr(value, "__dict__") and not callable(getattr(value, "state_dict", None))
