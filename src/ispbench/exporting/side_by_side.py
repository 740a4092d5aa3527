"""Networks in several runtimes side by side: time, memory and file size, each in a process of its own."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ispbench.errors import UserError, first_line, suggest
from ispbench.evaluation.deploy import merge_branches
from ispbench.exporting.graph import Graph, check_size
from ispbench.exporting.onnx_files import halve, quantize, write_onnx
from ispbench.exporting.runtimes import SUFFIXES
from ispbench.exporting.torch_files import write_executorch, write_torchscript
from ispbench.models.interface import ISPModel

RUNTIMES = ("eager", "compiled", "torchscript", "onnx", "onnx-fp16", "onnx-int8", "executorch")


@dataclass(frozen=True)
class Timing:
    """How runtimes are timed.

    Attributes:
        repetitions: Timed calls, at most.
        warmup: Calls before them.
        budget_s: Seconds after which no further call starts; three are made.
        threads: Within an operation; 0 for the runtime's own choice.
    """

    repetitions: int
    warmup: int
    budget_s: float
    threads: int


def parse_runtimes(text: str) -> list[str]:
    """Names of `RUNTIMES` and exported files, from ``eager,onnx,exports/metaisp-448x448-int8.onnx``.

    Raises:
        UserError: for what is neither.
    """
    found = [name.strip() for name in text.split(",") if name.strip()]
    for name in found:
        if name not in RUNTIMES and not (Path(name).suffix in SUFFIXES.values() and Path(name).is_file()):
            known = ", ".join(RUNTIMES)
            raise UserError(f"{name!r} is neither a runtime ({known}) nor an exported file.{suggest(name, RUNTIMES)}")
    return found


def profile_runtimes(
    models: Sequence[tuple[str, ISPModel]],
    runtimes: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    timing: Timing,
    track: Callable[[Sequence[Any]], Iterable[Any]] = iter,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Measures models in runtimes on the CPU.

    Args:
        models: Names and models, in ``eval()``; a file among the runtimes stands for itself and is measured once.
        runtimes: From `parse_runtimes`.
        sizes: Of the Bayer image; an exported file of a static size is measured at that alone.
        timing: How.
        track: Goes through the measurements and shows how far it is.

    Returns:
        One row a measurement; and why others could not be made.
    """
    cells: list[tuple[str, ISPModel | None, str, tuple[int, int]]] = [
        (name, model, runtime, size)
        for name, model in models
        for runtime in runtimes
        if runtime in RUNTIMES
        for size in sizes
    ]
    rows: list[dict[str, Any]] = []
    failed: list[str] = []
    for runtime in runtimes:
        if runtime not in RUNTIMES:
            about = _description(Path(runtime))
            cells += [(about.get("model", Path(runtime).stem), None, runtime, size) for size in _sizes(about, sizes)]
    for name, model, runtime, size in track(cells):
        try:
            rows.append(_measure(name, model, runtime, size, timing))
        except Exception as error:  # whatever exporters and runtimes raise
            failed.append(f"{name} in {runtime} at {size[0]}x{size[1]}: {first_line(error)}")
    return rows, failed


def _measure(name: str, model: ISPModel | None, runtime: str, size: tuple[int, int], timing: Timing) -> dict[str, Any]:
    height, width = size
    about: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        if model is None:
            path, about = Path(runtime), _description(Path(runtime))
        else:
            path = _write(model, runtime, height, width, Path(folder))
        kind = next((kind for kind, suffix in SUFFIXES.items() if suffix == path.suffix), runtime)
        task = {
            "kind": kind,
            "path": str(path),
            "shape": [1, 4, height // 2, width // 2],
            "repetitions": timing.repetitions,
            "warmup": timing.warmup,
            "budget_s": timing.budget_s,
            "threads": timing.threads,
        }
        command = [sys.executable, "-m", "ispbench.exporting.measure", json.dumps(task)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        file_mb = None if model is not None and runtime in ("eager", "compiled") else path.stat().st_size / 2**20
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}, out of memory perhaps"]
        raise RuntimeError(lines[-1])
    found = json.loads(done.stdout.splitlines()[-1])
    known = {"psnr": about["comparison"]["after"]["psnr"]} if "comparison" in about else {}
    return {"model": name, "runtime": runtime, "size": f"{height}x{width}", "file_mb": file_mb, **found, **known}


def _write(model: ISPModel, runtime: str, height: int, width: int, folder: Path) -> Path:
    """Writes the file that is measured; int8 is calibrated on made-up input, which moves no time."""
    merge_branches(model)
    check_size(model, height, width)
    graph = Graph(model)
    raw = graph.example(height, width)
    kind, _, precision = runtime.partition("-")
    path = folder / f"network{SUFFIXES.get(kind, '.module')}"
    if kind == "onnx":
        write_onnx(graph, raw, path, dynamic=False)
        if precision == "fp16":
            halve(path)
        elif precision == "int8":
            quantize(path, [raw.numpy()])
    elif kind == "torchscript":
        write_torchscript(graph, raw, path)
    elif kind == "executorch":
        write_executorch(graph, raw, path, dynamic=False)
    else:
        torch.save(graph, path)
    return path


def _description(path: Path) -> dict[str, Any]:
    """The JSON beside an exported file; empty if there is none."""
    beside = path.with_suffix(".json")
    return json.loads(beside.read_text()) if beside.is_file() else {}


def _sizes(about: dict[str, Any], sizes: Sequence[tuple[int, int]]) -> Sequence[tuple[int, int]]:
    size = about.get("size")
    return sizes if size is None or size["dynamic"] else [(size["height"], size["width"])]
