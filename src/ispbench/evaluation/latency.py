"""Latency, throughput and peak memory of a model on the device it stands on."""

import platform
import statistics
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from torch import Tensor

from ispbench.errors import UserError
from ispbench.evaluation.memory import PeakMemory
from ispbench.models.interface import ISPModel

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Latency:
    """How long one image takes.

    Attributes:
        median_ms: Of the repetitions, batch of one.
        iqr_ms: Their interquartile range.
        min_ms: The shortest.
        repetitions: How many were timed.
        images_per_s: 1000 / `median_ms`.
        megapixels_per_s: Bayer pixels, likewise.
        peak_memory_mb: Highest allocation on CUDA, else highest resident set of the process, in MiB.
        memory_kind: Which, see `PeakMemory`.
        input: The packed RAW, as ``4x224x224``.
        device: The processor's name, with the number of threads on a CPU.
        threads: Of torch, within an operation.
        precision: float32, or what autocast uses.
        compiled: Whether the network is compiled by ``torch.compile``.
        channels_last: Whether weights and input have that memory format.
    """

    median_ms: float
    iqr_ms: float
    min_ms: float
    repetitions: int
    images_per_s: float
    megapixels_per_s: float
    peak_memory_mb: float
    memory_kind: str
    input: str
    device: str
    threads: int
    precision: str
    compiled: bool
    channels_last: bool


@torch.inference_mode()
def latency(
    model: ISPModel,
    height: int = 448,
    width: int = 448,
    repetitions: int = 10,
    warmup: int = 3,
    budget_s: float = 20,
    precision: str = "float32",
    channels_last: bool = False,
    trace: Path | None = None,
) -> Latency:
    """Times one Bayer image of the given size, after a warm-up; the clock stops when the device has finished.

    Args:
        model: In ``eval()``, on its device.
        height: Of the Bayer image.
        width: Of the Bayer image.
        repetitions: At most this many are timed.
        warmup: Calls before the timing.
        budget_s: No further repetition starts after this time; at least three are made.
        precision: float32, bfloat16 or float16; the latter two by autocast.
        channels_last: Turns model and input into that memory format.
        trace: A file for one more call's trace in Chrome's format (chrome://tracing, Perfetto).

    Raises:
        UserError: for an unknown precision.
    """
    if precision not in PRECISIONS:
        raise UserError(f"precision is one of {', '.join(PRECISIONS)}, not {precision!r}.")
    device = device_of(model)
    memory = PeakMemory(device)
    raw = torch.rand(1, 4, height // 2, width // 2, device=device)
    if channels_last:
        model.to(memory_format=torch.channels_last)
        raw = raw.contiguous(memory_format=torch.channels_last)
    times: list[float] = []
    start = time.perf_counter()
    with _autocast(device, precision):
        for number in range(warmup + max(repetitions, 3)):
            begin = time.perf_counter()
            _render(model, raw)
            if number >= warmup:
                times.append(1e3 * (time.perf_counter() - begin))
            if len(times) >= 3 and time.perf_counter() - start > budget_s:
                break
        megabytes = memory.megabytes()
        if trace is not None:
            _trace(model, raw, trace)
    quarters = statistics.quantiles(times, n=4)
    median = statistics.median(times)
    return Latency(
        median_ms=median,
        iqr_ms=quarters[2] - quarters[0],
        min_ms=min(times),
        repetitions=len(times),
        images_per_s=1e3 / median,
        megapixels_per_s=raw.numel() / 1e3 / median,
        peak_memory_mb=megabytes,
        memory_kind=memory.kind,
        input=f"4x{height // 2}x{width // 2}",
        device=device_name(device),
        threads=torch.get_num_threads(),
        precision=precision,
        compiled=getattr(model.net, "_compiled_call_impl", None) is not None,
        channels_last=channels_last,
    )


def device_of(model: ISPModel) -> torch.device:
    """Where a model stands."""
    return next(iter([*model.parameters(), *model.buffers()]), torch.empty(0)).device


def device_name(device: torch.device) -> str:
    """The processor, as in ``NVIDIA A100`` or ``CPU (Intel Xeon ...), 8 threads``."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return device.type.upper()
    return f"CPU ({cpu_model()}), {torch.get_num_threads()} threads"


def mai_score(psnr: float, runtime_ms: float, constant: float = 1.0) -> float:
    """The score of the Mobile AI & AIM 2022 learned smartphone ISP challenge, ``2^(2 PSNR) / (C runtime)``.

    The organisers choose C and measure the runtime in milliseconds at full HD on a phone, so that only ratios of scores
    of one device compare: twice the speed counts as much as half a decibel.

    Reference: Ignatov et al., "Learned Smartphone ISP on Mobile GPUs with Deep Learning, Mobile AI & AIM 2022
    Challenge: Report", ECCVW 2022, arXiv:2211.03885, section on the scoring system.

    Args:
        psnr: In dB.
        runtime_ms: Of one image.
        constant: C.
    """
    return 2 ** (2 * psnr) / (constant * runtime_ms)


def _render(model: ISPModel, raw: Tensor) -> None:
    model(raw)
    if raw.device.type == "cuda":
        torch.cuda.synchronize(raw.device)
    elif raw.device.type == "mps":
        torch.mps.synchronize()


def _autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    dtype = PRECISIONS[precision]
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype)


def _trace(model: ISPModel, raw: Tensor, path: Path) -> None:
    from torch.profiler import ProfilerActivity, profile

    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (raw.device.type == "cuda")
    with profile(activities=activities, record_shapes=True) as profiler:
        _render(model, raw)
    path.parent.mkdir(parents=True, exist_ok=True)
    profiler.export_chrome_trace(str(path))


def cpu_model() -> str:
    """The name of the processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return " ".join(line.split(":", 1)[1].split())
    except OSError:
        pass
    return platform.processor() or platform.machine() or f"{psutil.cpu_count(logical=False)} cores"
