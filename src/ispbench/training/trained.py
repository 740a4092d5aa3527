"""A training that is over, and what of it is scored."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ispbench.checkpoint_files import PREVIOUS, Checkpoint, read
from ispbench.console import warn
from ispbench.errors import UserError


@dataclass(frozen=True)
class Trained:
    """A finished training.

    Attributes:
        record: Its record, as stored.
        folder: Its run folder; None if that is gone, or another process is at work on the training.
        fresh: Whether this call trained.
        loggers: Of Lightning, still open; the caller closes them.
    """

    record: dict[str, Any]
    folder: Path | None
    fresh: bool = False
    loggers: tuple[Any, ...] = ()

    @property
    def score(self) -> float | None:
        """The best validation score."""
        return self.record["training"].get("val_psnr")


def checkpoint_of(trained: Trained, select: str) -> Checkpoint | None:
    """The checkpoint of a training that is to be scored, as the training wrote it.

    Where the best one is damaged, the one that was the best before takes its place. The last one can be made again.

    Args:
        trained: The training.
        select: ``best`` or ``last``.

    Returns:
        None if there is none any more.
    """
    hashes = trained.record["training"].get("checkpoints", {})
    for name in (select, PREVIOUS["best"]) if select == "best" else (select,):
        path = None if trained.folder is None else trained.folder / "checkpoints" / f"{name}.ckpt"
        if path is not None and path.is_file():
            try:
                return read(path, hashes.get(name))
            except UserError as error:
                warn(str(error))
    return None
