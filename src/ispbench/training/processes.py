"""Which process speaks, and what of the libraries it leaves out."""

import logging
import warnings
from typing import Any

from pytorch_lightning.utilities import rank_zero_only

from ispbench.console import warn


def is_first_process() -> bool:
    """Whether this is the process that writes, of those that share a training."""
    return int(getattr(rank_zero_only, "rank", 0)) == 0


def tell(record: Any, what: str) -> None:
    """Prints a line about a training or an evaluation as a whole."""
    if is_first_process():
        title = " ".join(part for part in (record.model, record.variant) if part)
        seed = "" if record.seed is None else f" seed {record.seed}"
        warn(f"{record.kind} of {title}{seed} on {record.dataset}: {what}")


def filter_warnings() -> None:
    """Leaves out advice of libraries that has no meaning for the user of a configured run."""
    for message in (
        ".*does not have many workers.*",
        ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*number of training batches.*smaller than the logging interval.*",
        ".*Found .* module\\(s\\) in eval mode.*",
        ".*The `srun` command is available.*",
        ".*Experiment logs directory .* exists and is not empty.*",
        ".*You're resuming from a checkpoint that ended before the epoch ended.*",  # data/sampler.py goes on there
    ):
        warnings.filterwarnings("ignore", message)
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
