"""Evaluating the weights of a record again, which lifts its row to the tier ``checked``."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from ispbench.errors import UserError
from ispbench.evaluation.weights import evaluate_weights
from ispbench.results.differences import differences
from ispbench.results.reading import read_any
from ispbench.results.verifications import verify

TOLERANCE = 5e-4  # of a score, relative to it where it is above 1: between processors outputs round differently


def evaluate_again(path: Path, weights: Path, overrides: Sequence[str]) -> Path:
    """Scores weights as a record says they were scored, and writes a verification if the same comes out.

    Args:
        path: The record.
        weights: The run folder or the file.
        overrides: Such as ``data.root=FOLDER``; a file without a run folder gets the command of the record besides.

    Returns:
        The verification.

    Raises:
        UserError: if something else was evaluated, or other scores come out.
    """
    record = read_any(path)
    command = [] if weights.is_dir() or (weights.parent.parent / "config.yaml").is_file() else record.get("command", [])
    with tempfile.TemporaryDirectory() as folder:
        places = [f"paths.results={folder}/results", f"paths.outputs={folder}/outputs"]
        again, _, _ = evaluate_weights(str(weights), [*command, *overrides, *places])
    changed = differences(record["config"], again.config)
    if changed:
        told = ", ".join(f"{key} ({first} there, {second} here)" for key, (first, second) in list(changed.items())[:5])
        raise UserError(
            f"This is another evaluation than {record['id']}: {told}. Give the overrides that it was made with."
        )
    apart = {
        name: again.metrics.get(name)
        for name, value in record["metrics"].items()
        if not _close(value, again.metrics.get(name))
    }
    if apart:
        told = ", ".join(f"{name} {record['metrics'][name]} there, {value} here" for name, value in apart.items())
        raise UserError(f"The weights of {record['id']} score otherwise here: {told}.")
    return verify(path.parent.parent, record, "checked", {"found": again.metrics, "tolerance": TOLERANCE})


def _close(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return first is second
    return abs(first - second) <= TOLERANCE * max(1, abs(first))
