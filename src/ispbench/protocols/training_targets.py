"""Aligned targets for training: the targets of a dataset replaced by those of an aligned protocol."""

from ispbench.config import build, choices, compose
from ispbench.data.datamodule import PairedDataModule
from ispbench.data.pairs import Pair, PairSource
from ispbench.errors import UserError
from ispbench.protocols.aligned import AlignedToRaw
from ispbench.protocols.aligned_targets import AlignedTargets
from ispbench.protocols.base import ORIGINAL, Protocol

_PREFIX = "aligned-gt-raw-"


class AlignedSource(PairSource):
    """The pairs of another source with aligned targets, each with its validity mask as fourth channel.

    Args:
        source: Gives the mosaics.
        targets: The aligned targets, in the order of the source.
    """

    def __init__(self, source: PairSource, targets: AlignedTargets) -> None:
        self.names = source.names
        self.fingerprint = targets.checksum
        self.thread_safe = source.thread_safe
        self._source = source
        self._targets = targets

    def read(self, index: int) -> Pair:
        """The mosaic in DN, shape (H, W), and the aligned target, shape (H, W, 4): sRGB, and 255 where it is valid."""
        mosaic, _ = self._source.read(index)
        return mosaic, self._targets.pixels(index)


def align_training(data: PairedDataModule, protocol: Protocol) -> None:
    """Gives a dataset the training targets that ``data.targets`` asks for, computed where the cache lacks them.

    Args:
        data: The dataset.
        protocol: The run's own, whose settings hold if it bears the name that is asked for.

    Raises:
        UserError: for a name of no aligned targets, or targets that cannot be computed.
    """
    if data.targets == ORIGINAL:
        return
    if data.simulated:
        raise UserError(f"data.targets={data.targets} has no use: the targets of simulated RAW are aligned already.")
    found = _protocol(data.targets, protocol).targets(data, "train")
    data.training_source = AlignedSource(data.source("train"), found)
    data.notes["targets"] = f"{data.targets}, checksum {found.checksum}, {found.valid_share:.2%} valid"


def _protocol(name: str, own: Protocol) -> AlignedToRaw:
    if isinstance(own, AlignedToRaw) and own.name == name:
        return own
    flow = name.removeprefix(_PREFIX).partition("-")[0]
    if not name.startswith(_PREFIX) or flow not in choices("protocol/flow"):
        known = ", ".join(f"{_PREFIX}{item}" for item in choices("protocol/flow"))
        raise UserError(f"data.targets={name} is unknown; choose {ORIGINAL}, or begin with one of {known}.")
    built: AlignedToRaw = build(compose(["protocol=aligned-gt-raw", f"protocol/flow={flow}"]).protocol)
    if built.name != name:
        raise UserError(
            f"data.targets={name} needs other settings than the default ones, which make {built.name}; give them by "
            f"protocol=aligned-gt-raw protocol/flow={flow} protocol.KEY=VALUE."
        )
    return built
