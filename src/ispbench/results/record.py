"""The record of a run: one JSON file, written whole or not at all, from its start to its end.

``results/README.md`` explains every field.
"""

import datetime
import hashlib
import json
import math
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import ispbench
from ispbench.errors import UserError
from ispbench.files import write_atomically

SCHEMA = 1
RULES = "0.1"  # version of the measuring rules; rows compare only within one Major.Minor
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


@dataclass
class Record:
    """What one run was, and what it measured.

    Attributes:
        id: Names the record's files.
        model: A file of ``conf/model/``.
        variant: The run's overrides of the model, such as ``num_bases=4``.
        dataset: A file of ``conf/data/``.
        protocol: Dataset version and target, such as ``zrr-v1/original-gt``.
        seed: Of the run.
        config: The resolved configuration, without machine paths.
        status: running, finished, interrupted or failed.
        simulated: Whether the RAW was computed from photos.
        metrics: Scores of the test split.
        complexity: Parameters and MACs.
        efficiency: Latency and memory.
        data: Fingerprint, split and number of images.
        training: Steps, wall time, best validation score, checkpoint hash.
        notes: Why a number is missing.
        error: What ended a run that failed, or how far one came that was interrupted.
        cell: Names the configuration together with the data, see `ispbench.results.cells`.
    """

    id: str
    model: str
    variant: str
    dataset: str
    protocol: str
    seed: int
    config: dict[str, Any]
    status: str = "running"
    simulated: bool = False
    metrics: dict[str, Any] = field(default_factory=dict)
    complexity: dict[str, Any] = field(default_factory=dict)
    efficiency: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    error: str | None = None
    cell: str = ""
    kind: str = "measured"
    schema: int = SCHEMA
    rules: str = RULES
    date: str = field(default_factory=lambda: datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"))
    ispbench: str = ispbench.__version__
    versions: dict[str, str] = field(default_factory=lambda: _versions())
    git: dict[str, Any] = field(default_factory=lambda: _git())
    config_hash: str = ""

    def __post_init__(self) -> None:
        self.config_hash = self.config_hash or hash_config(self.config)

    def save(self, folder: Path) -> Path:
        """Writes ``<folder>/<id>.json``, replacing an earlier state of the same run.

        Raises:
            UserError: if the folder cannot be written to.
        """
        path = folder / f"{self.id}.json"
        write_atomically(path, json.dumps(_finite(asdict(self)), indent=1, sort_keys=True, default=str) + "\n")
        return path


def load_records(folder: Path) -> list[dict[str, Any]]:
    """The records of a folder, oldest first.

    Raises:
        UserError: for a file that is no record.
    """
    records = []
    for path in sorted(folder.glob("*.json")):
        try:
            record = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise UserError(f"{path} is not a readable run record ({error}); delete or restore it.") from error
        if not isinstance(record, dict) or record.get("schema") != SCHEMA:
            raise UserError(f"{path} is not a run record of schema {SCHEMA}; move it out of {folder}.")
        records.append(record)
    return sorted(records, key=lambda record: (record["date"], record["id"]))


def hash_config(config: Mapping[str, Any]) -> str:
    """A hash of a resolved configuration."""
    return hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


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
