"""Latency, throughput, memory and complexity of models, side by side."""

import datetime
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

import ispbench
from ispbench.errors import UserError, first_line
from ispbench.evaluation.complexity import complexity
from ispbench.evaluation.deploy import merge_branches
from ispbench.evaluation.latency import latency
from ispbench.evaluation.others import OtherProcesses
from ispbench.models.build import build_model


@dataclass(frozen=True)
class Conditions:
    """How models are timed.

    Attributes:
        height: Of the Bayer image.
        width: Of the Bayer image.
        device: Such as ``cpu`` or ``cuda:1``; ``auto`` for a GPU if there is one.
        precision: float32, bfloat16 or float16.
        compile: Whether ``torch.compile`` compiles the network.
        channels_last: Memory format of weights and input.
        repetitions: Timed calls, at most.
        warmup: Calls before them.
        budget_s: Seconds after which no further call starts.
        threads: Of torch on a CPU; 0 for its own choice.
        deploy: Whether networks with branches to merge are measured in their merged form.
        traces: Folder for a Chrome trace of one call of each model; None for no traces.
    """

    height: int
    width: int
    device: str
    precision: str
    compile: bool
    channels_last: bool
    repetitions: int
    warmup: int
    budget_s: float
    threads: int
    deploy: bool = True
    traces: Path | None = None


def profile(
    names: Sequence[str],
    overrides: Sequence[str],
    conditions: Conditions,
    track: Callable[[Sequence[str]], Iterable[str]] = iter,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Measures models with fresh weights.

    Args:
        names: Files of ``conf/model/``.
        overrides: Of the configuration, such as ``model.width=16``.
        conditions: How they are timed.
        track: Goes through the names and shows how far it is.

    Returns:
        For each model its name, the fields of `Complexity` and `Latency`, and ``other_cores``, see `OtherProcesses`;
        and why others could not be measured.

    Raises:
        UserError: for a device that is not there, or an override that the only model lacks.
    """
    device = find_device(conditions.device)
    if conditions.threads:
        torch.set_num_threads(conditions.threads)
    rows: list[dict[str, Any]] = []
    failed: list[str] = []
    for name in track(names):
        try:
            rows.append({"model": name, **_measure(name, overrides, conditions, device)})
        except (RuntimeError, NotImplementedError) as error:  # out of memory, an operation the device lacks
            failed.append(f"{name}: {first_line(error)}")
        except UserError as error:  # an override that this one of several models lacks
            if len(names) == 1:
                raise
            failed.append(f"{name}: {error}")
    return rows, failed


def find_device(text: str) -> torch.device:
    """The device that a text names.

    Args:
        text: Such as ``cuda:1``; ``auto`` for a GPU if there is one.

    Raises:
        UserError: if it is not there.
    """
    if text == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(text)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device={text} cannot be used here: {first_line(error)}") from error
    return device


def as_json(rows: Sequence[Mapping[str, Any]], settings: Mapping[str, Any], overrides: Sequence[str]) -> str:
    """The measurements with what they were made by."""
    content = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "ispbench": ispbench.__version__,
        "torch": torch.__version__,
        "settings": settings,
        "overrides": overrides,
        "models": rows,
    }
    return json.dumps(content, indent=1) + "\n"


def _measure(name: str, overrides: Sequence[str], conditions: Conditions, device: torch.device) -> dict[str, Any]:
    model = build_model(name, overrides).eval()
    if conditions.deploy:
        merge_branches(model)
    size = complexity(model, conditions.height, conditions.width)
    model = model.to(device)
    if conditions.compile:
        model.net.compile()
    others = OtherProcesses()
    speed = latency(
        model,
        conditions.height,
        conditions.width,
        repetitions=conditions.repetitions,
        warmup=conditions.warmup,
        budget_s=conditions.budget_s,
        precision=conditions.precision,
        channels_last=conditions.channels_last,
        trace=conditions.traces / f"{name}.json" if conditions.traces else None,
    )
    return asdict(size) | asdict(speed) | {"other_cores": others.cores()}
