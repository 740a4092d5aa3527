"""Time and memory of the models, as ratios to MetaISP in the same run.

    python benchmarks/models.py
    python benchmarks/models.py --models all --height 448 --width 448 --batch 8 --device cuda

Per model, precision (fp32, bf16 by autocast) and memory format: one rendering in inference mode, and one training step
(forward, L1 on the image, backward, Adam). Times are medians after a warm-up. Memory is the peak above what the process
held before the model was built: of the allocator on CUDA, of the resident set on a CPU, where every measurement has a
process of its own.
"""

import argparse
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ispbench.config import choices
from ispbench.errors import UserError
from ispbench.models.build import build_model

REFERENCE = "metaisp"
SMALL = ["microisp", "lan", "syenet", "csanet", "unet"]
PRECISIONS = {"fp32": None, "bf16": torch.bfloat16}
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


@dataclass(frozen=True)
class Setting:
    """What is measured, all but the model."""

    precision: str
    memory_format: str
    height: int
    width: int
    batch: int
    device: str
    repetitions: int


@dataclass(frozen=True)
class Measured:
    """Median milliseconds and peak MB of one kind of step."""

    ms: float
    mb: float


def measure(name: str, setting: Setting, training: bool) -> Measured:
    """Measures one model in this process."""
    device = torch.device(setting.device)
    before = _memory(device)
    torch.manual_seed(0)
    memory_format = FORMATS[setting.memory_format]
    model = build_model(name).to(device).to(memory_format=memory_format).train(training)
    shape = (setting.batch, 4, setting.height // 2, setting.width // 2)
    raw = torch.rand(shape, device=device).to(memory_format=memory_format)
    target = torch.rand(setting.batch, 3, setting.height, setting.width, device=device)
    dtype = PRECISIONS[setting.precision]
    autocast = nullcontext() if dtype is None else torch.autocast(device.type, dtype)
    parameters = list(model.parameters())
    optimizer = torch.optim.Adam(parameters, lr=1e-4) if parameters and training else None

    def render() -> None:
        with torch.inference_mode(), autocast:
            model(raw)

    def learn() -> None:
        with autocast:
            loss = (model.forward_scales(raw)[0].float() - target).abs().mean()
        assert optimizer is not None
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    step = learn if training else render
    times = [_timed(step, device) for _ in range(2 + setting.repetitions)][2:]
    return Measured(statistics.median(times), max(_memory(device) - before, 0) / 2**20)


def _timed(step: Callable[[], None], device: torch.device) -> float:
    start = time.perf_counter()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return 1e3 * (time.perf_counter() - start)


def _memory(device: torch.device) -> int:
    """The peak so far, in bytes; on CUDA the peak since the last call."""
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        return peak
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _child(queue: Any, name: str, setting: Setting, training: bool) -> None:
    try:
        queue.put(measure(name, setting, training))
    except (RuntimeError, UserError) as error:
        queue.put(str(error).splitlines()[0])


def attempt(name: str, setting: Setting, training: bool) -> Measured | str:
    """Measures one model, or says why that is not possible."""
    if setting.device.startswith("cuda"):
        try:
            return measure(name, setting, training)
        except (RuntimeError, UserError) as error:
            return str(error).splitlines()[0]
    context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    queue = context.SimpleQueue()
    child = context.Process(target=_child, args=(queue, name, setting, training))
    child.start()
    while child.is_alive() and queue.empty():
        child.join(0.05)
    result = "the process was killed, most likely for want of memory" if queue.empty() else queue.get()
    child.join()
    return result


def prepare(models: list[str]) -> None:
    """Imports what the models and the optimizer import late, so that no measurement pays for it.

    Nothing here is large enough to start torch's threads, which a forked process would miss.
    """
    for name in models:
        with torch.device("meta"):
            build_model(name)
    parameter = torch.zeros(1, requires_grad=True)
    parameter.sum().backward()
    torch.optim.Adam([parameter]).step()


def rows(models: list[str], settings: list[Setting], advance: Callable[[str], None]) -> Iterator[list[str]]:
    """The rows of the table, the reference first in each setting."""
    for setting in settings:
        reference: dict[bool, Measured | str] = {}
        for name in [REFERENCE, *(model for model in models if model != REFERENCE)]:
            row = [name, setting.precision, setting.memory_format]
            for training in (False, True):
                advance(f"{name} {setting.precision} {setting.memory_format}")
                result = attempt(name, setting, training)
                base = reference.setdefault(training, result)
                row += _cells(result, base)
            yield row


def _cells(result: Measured | str, base: Measured | str) -> list[str]:
    if isinstance(result, str):
        return [result[:40], "", "", ""]
    times, memory = ("", "")
    if isinstance(base, Measured):
        times, memory = f"{result.ms / base.ms:.2f}", f"{result.mb / base.mb:.2f}" if base.mb else ""
    return [f"{result.ms:.1f}", times, f"{result.mb:.0f}", memory]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=SMALL, help=f"names, or all; default: {' '.join(SMALL)}")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--height", type=int, default=128, help="of the Bayer image")
    parser.add_argument("--width", type=int, default=128, help="of the Bayer image")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:0")
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    known = [name for name in choices("model") if name != "classical"]
    models = known if options.models == ["all"] else options.models
    if unknown := [name for name in models if name not in known]:
        parser.error(f"unknown model {unknown[0]}; models are {', '.join(known)}")
    sizes = (options.height, options.width, options.batch, options.device, options.repetitions)
    settings = [
        Setting(precision, layout, *sizes) for precision, layout in product(options.precisions, options.formats)
    ]
    table = Table(title=f"{options.batch} x {options.height}x{options.width} Bayer on {_device_name(options.device)}")
    for column in ("model", "precision", "format"):
        table.add_column(column)
    for kind in ("inference", "training step"):
        for column in (f"{kind} ms", "x MetaISP", "peak MB", "x MetaISP"):
            table.add_column(column, justify="right")
    prepare([REFERENCE, *models])
    count = 2 * len(settings) * len({REFERENCE, *models})
    with Progress(transient=True, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=count)

        def advance(description: str) -> None:
            progress.update(task, description=description, advance=1)

        for row in rows(models, settings, advance):
            table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _device_name(device: str) -> str:
    return (
        torch.cuda.get_device_name(device) if device.startswith("cuda") else f"CPU, {torch.get_num_threads()} threads"
    )


if __name__ == "__main__":
    main()
