"""Latency and peak memory of a model on the device it stands on."""

import statistics
import time
from dataclasses import dataclass

import psutil
import torch

from ispbench.models.interface import ISPModel


@dataclass(frozen=True)
class Latency:
    """How long one image takes.

    Attributes:
        median_ms: Of the repetitions, batch of one.
        iqr_ms: Their interquartile range.
        peak_memory_mb: Highest allocation on CUDA, else highest resident set of the process.
        input: The packed RAW, as ``4x224x224``.
        device: The processor's kind, with the number of threads on a CPU.
        precision: Of the weights and activations.
    """

    median_ms: float
    iqr_ms: float
    peak_memory_mb: float
    input: str
    device: str
    precision: str


@torch.inference_mode()
def latency(
    model: ISPModel,
    height: int = 448,
    width: int = 448,
    repetitions: int = 10,
    warmup: int = 3,
    budget_s: float = 20,
) -> Latency:
    """Times one Bayer image of the given size, after a warm-up, in float32.

    Args:
        model: In ``eval()``, on its device.
        height: Of the Bayer image.
        width: Of the Bayer image.
        repetitions: At most this many are timed.
        warmup: Calls before the timing.
        budget_s: No further repetition starts after this time; at least three are made.
    """
    device = next(iter([*model.parameters(), *model.buffers()]), torch.empty(0)).device
    raw = torch.rand(1, 4, height // 2, width // 2, device=device)
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
    times: list[float] = []
    start = time.perf_counter()
    for number in range(warmup + max(repetitions, 3)):
        begin = time.perf_counter()
        model(raw)
        if cuda:
            torch.cuda.synchronize(device)
        if number >= warmup:
            times.append(1e3 * (time.perf_counter() - begin))
        if len(times) >= 3 and time.perf_counter() - start > budget_s:
            break
    quarters = statistics.quantiles(times, n=4)
    return Latency(
        median_ms=statistics.median(times),
        iqr_ms=quarters[2] - quarters[0],
        peak_memory_mb=(torch.cuda.max_memory_allocated(device) if cuda else _peak_resident()) / 2**20,
        input=f"4x{height // 2}x{width // 2}",
        device=torch.cuda.get_device_name(device) if cuda else f"CPU, {torch.get_num_threads()} threads",
        precision="float32",
    )


def _peak_resident() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return psutil.Process().memory_info().peak_wset
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
