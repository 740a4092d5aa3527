"""How Lightning reads and writes checkpoints here: each file once, safely, whole or not at all."""

from pathlib import Path
from typing import Any

from pytorch_lightning.plugins.io import CheckpointIO

from ispbench.checkpoint_files import Checkpoint, read, write
from ispbench.checkpoints import check_resumable
from ispbench.errors import UserError


class SafeCheckpointIO(CheckpointIO):
    """Lightning's own stages files in the temporary folder and may run the code that a file holds.

    Args:
        resumed: What was read already of the checkpoint that a training goes on from; None if there is none.
    """

    def __init__(self, resumed: Checkpoint | None = None) -> None:
        self._resumed = resumed
        self._written: set[Path] = set()

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Writes a checkpoint; a damaged one that it replaces does not take the place of a whole one.

        Raises:
            UserError: if the place cannot be written to; the checkpoints that were there are kept.
        """
        path = Path(path)
        write(path, checkpoint, keep=path in self._written or _is_whole(path))
        self._written.add(path)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: Any = None) -> dict[str, Any]:
        """What was read of the checkpoint before, without a second look at its file; else reads it, safely.

        Raises:
            UserError: if the file is damaged, or holds no state of a training.
        """
        resumed, self._resumed = self._resumed, None  # the memory is free once the training goes on
        if resumed is None or resumed.path != Path(path):
            resumed = check_resumable(read(path))
        return dict(resumed.content)

    def remove_checkpoint(self, path: Any) -> None:
        """Removes a checkpoint."""
        Path(path).unlink(missing_ok=True)


def _is_whole(path: Path) -> bool:
    try:
        read(path)
    except UserError:
        return False
    return True
