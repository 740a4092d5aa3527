"""The records of trainings and evaluations: JSON files, written whole or not at all.

``results/README.md`` explains every field.
"""

import datetime
import json
import math
import re
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar

import ispbench

SCHEMA = 2
RULES = "0.2"  # version of the measuring rules; rows compare only within one Major.Minor
_PACKAGES = (
    "torch",
    "torchvision",
    "pytorch-lightning",
    "torchmetrics",
    "lpips",
    "timm",
    "numpy",
    "opencv-python-headless",
)


@cache
def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@cache
def _git() -> dict[str, Any]:
    """Commit and dirty flag of the checkout that runs; empty for an installed package."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return {}

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return {
            "commit": git("rev-parse", "HEAD"),
            "dirty": bool(git("status", "--porcelain", "--untracked-files=no")),
        }
    except (OSError, subprocess.CalledProcessError):
        return {}


@dataclass(kw_only=True)
class Record:
    """What trainings and evaluations have in common.

    Attributes:
        key: Names what was done, see `ispbench.results.keys`.
        model: A file of ``conf/model/``, or the name that was given to an evaluation.
        variant: Settings of the model other than its default, such as ``num_bases=4``.
        dataset: A file of ``conf/data/``.
        seed: Of the training.
        command: The overrides that made it, see `ispbench.results.commands.repeatable`.
        config: What the key is made of.
        status: running, finished, interrupted or failed.
        error: What ended a run that failed, or how far one came that was interrupted.
        data: Fingerprints, numbers of images, and what else the dataset says of itself.
        notes: Why a number is missing, and what a reader should know.
    """

    kind: ClassVar[str]

    key: str
    model: str
    dataset: str
    variant: str = ""
    seed: int | None = None
    command: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    status: str = "running"
    error: str | None = None
    data: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    schema: int = SCHEMA
    date: str = field(default_factory=lambda: datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"))
    ispbench: str = ispbench.__version__
    versions: dict[str, str] = field(default_factory=lambda: _versions())
    git: dict[str, Any] = field(default_factory=lambda: _git())

    @property
    def id(self) -> str:
        """The name of the record's file: what it is of, and its key."""
        return "-".join(re.sub(r"[^\w.]+", "-", part).strip("-") for part in (*self._title(), self.key))

    def _title(self) -> tuple[str, ...]:
        return (self.model, self.dataset, *(() if self.seed is None else (f"s{self.seed}",)))

    def content(self) -> str:
        """The record as JSON, which has no NaN and no infinity."""
        fields = _finite(asdict(self)) | {"id": self.id, "kind": self.kind}
        return json.dumps(fields, indent=1, sort_keys=True, default=str) + "\n"


@dataclass(kw_only=True)
class TrainingRecord(Record):
    """A training.

    Attributes:
        training: Steps, seconds, the learning rate and precision that were used, the best validation scores, and the
            hash of each checkpoint.
    """

    kind: ClassVar[str] = "training"

    training: dict[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True)
class EvaluationRecord(Record):
    """An evaluation.

    Attributes:
        protocol: Dataset version and target, such as ``zrr-v1/original-gt``.
        split: train, val or test.
        origin: ``training`` (its key is in `training_key`), ``weights`` (a file), ``images`` (a folder that somebody
            else rendered) or ``model`` (a Python object).
        training_key: The key of the training whose weights were scored.
        weights: Hash of the weights, or of the images.
        simulated: Whether the RAW was computed from photographs.
        checkpoint: Which of the training's checkpoints was scored, its step, and its validation PSNR.
        metrics: Means over images.
        by: The same means by camera, light and so on, where the dataset knows such things of its images.
        complexity: Parameters and MACs.
        efficiency: Latency and memory.
    """

    kind: ClassVar[str] = "evaluation"

    protocol: str
    split: str = "test"
    origin: str = "training"
    training_key: str | None = None
    weights: str | None = None
    simulated: bool = False
    rules: str = RULES
    checkpoint: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    by: dict[str, Any] = field(default_factory=dict)
    complexity: dict[str, Any] = field(default_factory=dict)
    efficiency: dict[str, Any] = field(default_factory=dict)

    def _title(self) -> tuple[str, ...]:
        return (*super()._title(), self.protocol.partition("/")[2] or self.protocol, self.split)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
