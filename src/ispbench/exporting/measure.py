"""The process in which one network is timed in one runtime, so that its memory is its own.

    python -m ispbench.exporting.measure '{"kind": "onnx", "path": "metaisp.onnx", "shape": [1, 4, 224, 224], ...}'

It prints what it measured as JSON, and imports torch only for what is torch's.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ispbench.evaluation.memory import PeakMemory
from ispbench.evaluation.others import OtherProcesses
from ispbench.exporting.runtimes import import_runtime, open_file, threads_of


def measure(
    kind: str, path: str, shape: list[int], repetitions: int, warmup: int, budget_s: float, threads: int
) -> Mapping[str, Any]:
    """Times one input, after a warm-up.

    Args:
        kind: eager, compiled, or the format of an exported file.
        path: The file; of PyTorch's own, a pickled module.
        shape: Of the packed RAW.
        repetitions: Timed calls, at most.
        warmup: Calls before them.
        budget_s: Seconds after which no further call starts; three are made.
        threads: Within an operation; 0 for the runtime's own choice.

    Returns:
        Times in milliseconds; memory in MiB, ``peak_memory_mb`` of the whole process and ``network_memory_mb`` of what
        came on top of the runtime itself; ``other_cores``, see `OtherProcesses`.
    """
    import_runtime(kind)
    raw = np.random.default_rng(0).random(shape, np.float32)
    before = PeakMemory().megabytes()
    memory = PeakMemory()
    others = OtherProcesses()
    run = _open(kind, Path(path), threads)
    times: list[float] = []
    start = time.perf_counter()
    for number in range(warmup + max(repetitions, 3)):
        begin = time.perf_counter()
        run(raw)
        if number >= warmup:
            times.append(1e3 * (time.perf_counter() - begin))
        if len(times) >= 3 and time.perf_counter() - start > budget_s:
            break
    busy = others.cores()
    median, quarters = statistics.median(times), statistics.quantiles(times, n=4)
    return {
        "median_ms": median,
        "iqr_ms": quarters[2] - quarters[0],
        "min_ms": min(times),
        "repetitions": len(times),
        "images_per_s": 1e3 / median,
        "peak_memory_mb": memory.megabytes(),
        "network_memory_mb": memory.megabytes() - before,
        "memory_kind": memory.kind,
        "threads": threads_of(kind, threads),
        "other_cores": busy,
    }


def _open(kind: str, path: Path, threads: int) -> Callable[[Any], Any]:
    if kind not in ("eager", "compiled"):
        return open_file(path, threads)
    import torch

    if threads:
        torch.set_num_threads(threads)
    module = torch.load(path, weights_only=False)  # which the parent process has just written
    if kind == "compiled":
        module.compile()

    def run(raw: Any) -> Any:
        with torch.inference_mode():
            return module(torch.from_numpy(raw))

    return run


if __name__ == "__main__":
    print(json.dumps(measure(**json.loads(sys.argv[1]))))
