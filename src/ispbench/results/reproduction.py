"""Repeating a row of the leaderboard: its command, from its commit, and whether the same comes out."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ispbench.errors import UserError
from ispbench.results import store
from ispbench.results.check import commit_is_here
from ispbench.results.differences import differences
from ispbench.results.lookup import find
from ispbench.results.rows import Row, load_rows
from ispbench.results.statistics import CONFIDENCE

SAME = 1e-3  # a difference that is none: rounding on another processor

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What came out.

    Attributes:
        score: Of the repetition.
        recorded: Of the record.
        low: The least score that is within the scatter of seeds; None if that is not known.
        high: The greatest, likewise.
        seeds: The number of trainings that the scatter is taken from.
        changed: The settings in which the repetition differs from the record, as sentences.
    """

    score: float
    recorded: float
    low: float | None
    high: float | None
    seeds: int
    changed: list[str]

    @property
    def reproduced(self) -> bool:
        """Whether the same was done, and the same or something within the scatter of the seeds came out."""
        within = self.low is not None and self.high is not None and self.low <= self.score <= self.high
        return not self.changed and (abs(self.score - self.recorded) <= SAME or within)

    def sentence(self, metric: str) -> str:
        """What came out, and what that means."""
        told = f"{metric} was {self.recorded:.4f} and is {self.score:.4f}"
        if self.changed:
            return f"Something else was done: {'; '.join(self.changed[:5])}. Give the overrides that it was made with."
        if abs(self.score - self.recorded) <= SAME:
            return f"{told}: the same."
        if self.low is None:
            return f"{told}; there is one seed alone, so that its scatter is not known: evaluate more seeds."
        inside = "within" if self.reproduced else "outside of"
        return f"{told}, {inside} the scatter of {self.seeds} trainings, {self.low:.4f} to {self.high:.4f}."


def find_row(results: Path, part: str, metric: str) -> tuple[Row, Record, list[Row]]:
    """The row and the evaluation that a part of an id names, and all rows of their ranking.

    Raises:
        UserError: if there is none or more than one.
    """
    rows = load_rows(results, metric)
    record = find([record for row in rows for record in row.records], part)
    (row,) = (row for row in rows if any(other["id"] == record["id"] for other in row.records))
    return row, record, [other for other in rows if other.ranking == row.ranking]


def command_of(record: Record, overrides: Sequence[str]) -> list[str]:
    """The overrides that make a record anew.

    Args:
        record: The evaluation.
        overrides: What the record leaves out, such as ``data.root=FOLDER``; the whole command where it was made before
            commands were recorded.

    Raises:
        UserError: if nothing is to be repeated, or the command is not known.
    """
    if record["origin"] == "images" or (record["weights"] and not record["training_key"]):
        raise UserError(
            f"{record['id']} scores {record['origin']} from elsewhere, and nothing that could be trained again; "
            "evaluate them again: ispbench check RECORD weights=FILE again=true"
        )
    recorded = list(record.get("command") or [])
    if not recorded and not overrides:
        raise UserError(
            f"{record['id']} was made before commands were recorded; give its overrides: ispbench reproduce "
            f"{record['key']} model={record['model']} data={record['dataset']} ..."
        )
    return [*recorded, *overrides]


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """A checkout of a commit: that which runs, if it is of this very commit, else a temporary one beside it.

    Raises:
        UserError: if the commit is not at hand.
    """
    here = Path(__file__).resolve().parents[3]
    if not (here / ".git").exists() or not commit_is_here(commit):
        raise UserError(
            f"The commit {commit} is not at hand; run this in a checkout that has it: git clone, or git fetch."
        )
    if not _git(here, "status", "--porcelain", "--untracked-files=no") and _git(here, "rev-parse", "HEAD") == commit:
        yield here
        return
    with TemporaryDirectory(prefix="ispbench-") as folder:
        place = Path(folder) / "checkout"
        _git(here, "worktree", "add", "--detach", str(place), commit)
        try:
            yield place
        finally:
            _git(here, "worktree", "remove", "--force", str(place))


def repeat(folder: Path, command: Sequence[str], outputs: Path) -> dict[str, Any]:
    """Runs a command from a checkout, and reads the evaluation that it leaves.

    Args:
        folder: The checkout.
        command: Overrides.
        outputs: Where the runs go; the records go to ``results`` in it.

    Raises:
        UserError: if the command fails.
    """
    results = outputs.absolute() / "results"
    places = [f"paths.outputs={outputs.absolute()}", f"paths.results={results}"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder / "src"), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, "-m", "ispbench", *command, *places], env=environment)
    found = [row for row in store.load(results) if row["status"] == "finished" and row["metrics"]]
    if done.returncode or not found:
        raise UserError(f"The command failed, as told above; what it left is in {outputs}.")
    return max(found, key=lambda row: (row["date"], row["id"]))


def judge(row: Row, record: Record, again: Record, ranking: Sequence[Row], metric: str) -> Outcome:
    """Compares a repetition with its row.

    Args:
        row: The row.
        record: The evaluation of it that was repeated.
        again: What the repetition left.
        ranking: All rows of the ranking, whose seeds tell the scatter where the row has one seed.
        metric: The score.

    Raises:
        UserError: if the repetition has no such score.
    """
    settings = differences(record["config"], again["config"])
    changed = [
        f"{key} was {first} and is {second}"
        for key, (first, second) in settings.items()
        if key not in ("seed", "data.seed")
    ]
    score, recorded = again["metrics"].get(metric), record["metrics"][metric]
    if score is None:
        raise UserError(f"The repetition has no {metric}: {again['notes'].get(metric, 'it was not measured')}.")
    low, high, seeds = _scatter(row, ranking, metric)
    return Outcome(score, recorded, low, high, seeds, changed)


def _scatter(row: Row, ranking: Sequence[Row], metric: str) -> tuple[float | None, float | None, int]:
    """Where one more training of a row lies with 95 % probability, and from how many trainings that is known.

    A prediction interval by Student's t, from the row's own seeds, or where it has one from the other rows'.
    """
    from scipy.stats import t

    own = [record["metrics"][metric] for record in row.records]
    groups = [own] if len(own) > 1 else [[record["metrics"][metric] for record in other.records] for other in ranking]
    groups = [group for group in groups if len(group) > 1]
    if not groups or not row.learns:
        return None, None, 0
    freedom = sum(len(group) - 1 for group in groups)
    deviation = np.sqrt(sum(np.var(group) * len(group) for group in groups) / freedom * (1 + 1 / len(own)))
    low, high = t.interval(CONFIDENCE, freedom, float(np.mean(own)), max(float(deviation), SAME))
    return float(low), float(high), sum(map(len, groups))


def _git(folder: Path, *arguments: str) -> str:
    try:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise UserError(f"git {arguments[0]} failed: {getattr(error, 'stderr', '') or error}".rstrip()) from error
