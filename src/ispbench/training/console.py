"""What a run says on the terminal, from the first of its processes."""

import logging
import sys
import warnings
from pathlib import Path

from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console

from ispbench.results.record import Record


def is_first_process() -> bool:
    """Whether this is the process that writes, of those that share a training."""
    return int(getattr(rank_zero_only, "rank", 0)) == 0


def tell(record: Record, what: str) -> None:
    """A line about the cell as a whole."""
    if is_first_process():
        print(
            f"ispbench: {record.model} {record.variant} seed {record.seed} on {record.dataset}: {what}", file=sys.stderr
        )


def report(record: Record, path: Path, folder: Path) -> None:
    """The scores of a finished run, and where its record and its folder are."""
    console = Console()
    scores = "  ".join(
        f"{name} {value:.4g}" for name, value in record.metrics.items() if name in ("psnr", "ssim", "lpips")
    )
    console.print(
        f"[bold]{record.model}[/] {record.variant} on {record.protocol}: {scores or 'not tested'}",
        highlight=False,
    )
    console.print(f"record {path}\nfolder {folder}", highlight=False, soft_wrap=True)


def quieten() -> None:
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
