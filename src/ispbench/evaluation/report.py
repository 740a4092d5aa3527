"""What an evaluation says on the terminal."""

from pathlib import Path

from ispbench.console import say, warn
from ispbench.metrics.table import shown_as
from ispbench.results.records import EvaluationRecord

_SHOWN = ("psnr", "ssim", "lpips")  # where they were measured; else the first three of what was


def report(record: EvaluationRecord, path: Path, folder: Path | None = None) -> None:
    """Prints the scores of an evaluation, and where its record is.

    Args:
        record: Of the evaluation.
        path: The record's file.
        folder: The run folder, if there is one.
    """
    measured = [name for name in record.metrics if name != "nonfinite"]
    chosen = [name for name in _SHOWN if name in measured] or measured[:3]
    scores = "  ".join(f"{shown_as(name).label} {record.metrics[name]:.{shown_as(name).digits}f}" for name in chosen)
    title = " ".join(part for part in (record.model, record.variant) if part)
    say(f"{title} on {record.protocol}, {record.split}: {scores or 'no scores'}", f"record {path}")
    if folder is not None:
        say(f"folder {folder}")


def tell_finished(record: EvaluationRecord) -> None:
    """Says that an evaluation was made before."""
    warn(f"{record.id} was {record.status} before; overwrite=always runs it again.")
