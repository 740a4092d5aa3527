"""Speed of MetaISP's exact rewrites, as ratios to its plain form in the same run.

    python benchmarks/metaisp.py
    python benchmarks/metaisp.py --model metaisp_separable
    python benchmarks/metaisp.py --compile --device cuda --precision bf16

The plain form is ``plain_metaisp.py``, with the same weights. Both are called in turn, and the medians compared:
rendering 448x448 and 12 megapixels in inference mode, and training steps (forward, L1, backward, Adam). The last
column is the share that the fast form reaches of the rate of a plain 3x3 convolution of 32 channels on this machine,
counting the MACs of the network's description.
"""

import argparse
import copy
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from plain_metaisp import plain_forward
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from ispbench.evaluation.complexity import complexity
from ispbench.models.build import build_model

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16}
RENDERED = ((448, 448), (3008, 4000))
TRAINED = ((8, 64), (8, 128), (1, 448))  # images, crop

WIDTH = 32  # of the convolution that it is compared with


def _seconds(function: Callable[[], Any], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def in_turn(functions: Sequence[Callable[[], Any]], device: torch.device, repetitions: int) -> list[float]:
    """Median seconds of each function, all called once a round, after a round to warm up."""
    rounds = [[_seconds(function, device) for function in functions] for _ in range(1 + repetitions)]
    return [statistics.median(times) for times in zip(*rounds[1:], strict=True)]


def convolution_rate(device: torch.device, repetitions: int) -> float:
    """MACs per second of a 3x3 convolution, `WIDTH` channels to as many, at 224x224."""
    conv = nn.Conv2d(WIDTH, WIDTH, 3, padding=1).to(device, memory_format=torch.channels_last)
    x = torch.rand(1, WIDTH, 224, 224, device=device).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        (seconds,) = in_turn([lambda: conv(x)], device, 4 * repetitions)
    return 9 * WIDTH**2 * 224**2 / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="metaisp", help="or metaisp_separable, metaisp_c32")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:0")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32")
    parser.add_argument("--threads", type=int, help="default: torch's")
    parser.add_argument("--repetitions", type=int, default=8)
    parser.add_argument("--compile", action="store_true", help="time torch.compile of the fast form as well")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    device, dtype = torch.device(options.device), PRECISIONS[options.precision]
    torch.manual_seed(0)
    model = build_model(options.model).to(device)
    rate = convolution_rate(device, options.repetitions)
    names = ["plain", "fast", *(["compiled"] if options.compile else [])]
    table = Table(title=f"{options.model} on {device}, {options.precision}, {torch.get_num_threads()} threads")
    for name in ("what", *(f"{name} ms" for name in names), *(f"x plain, {name}" for name in names[1:]), "of conv"):
        table.add_column(name, justify="left" if name == "what" else "right")

    def forwards(net: nn.Module) -> list[Callable[[Tensor], Tensor]]:
        return [lambda raw: plain_forward(net, raw), net, *([torch.compile(net)] if options.compile else [])]

    def autocast() -> Any:
        return nullcontext() if dtype is None else torch.autocast(device.type, dtype)

    def add(what: str, seconds: list[float], macs: float) -> None:
        ratios = [f"{seconds[0] / value:.2f}" for value in seconds[1:]]
        share = f"{macs / seconds[1] / rate:.0%}"
        table.add_row(what, *(f"{1e3 * value:.1f}" for value in seconds), *ratios, share)

    for height, width in RENDERED:
        raw = torch.rand(1, 4, height // 2, width // 2, device=device)

        def rendering(forward: Callable[[Tensor], Tensor], raw: Tensor = raw) -> Callable[[], Any]:
            def render() -> None:
                with torch.inference_mode(), autocast():
                    forward(raw)

            return render

        repetitions = options.repetitions if height < 1000 else max(2, options.repetitions // 4)
        seconds = in_turn([rendering(forward) for forward in forwards(model.eval().net)], device, repetitions)
        add(f"render {height}x{width}", seconds, 1e9 * complexity(model, height, width).gmacs)
    for count, crop in TRAINED:
        raw = torch.rand(count, 4, crop // 2, crop // 2, device=device)
        target = torch.rand(count, 3, crop, crop, device=device)

        def training(place: int, raw: Tensor = raw, target: Tensor = target) -> Callable[[], Any]:
            own = copy.deepcopy(model).train()
            forward, optimizer = forwards(own.net)[place], torch.optim.Adam(own.parameters(), lr=1e-4)

            def step() -> None:
                with autocast():
                    loss = (forward(raw).float() - target).abs().mean()
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()

            return step

        seconds = in_turn([training(place) for place in range(len(names))], device, options.repetitions)
        # The backward pass needs twice the operations of the forward pass.
        add(f"train {count} x {crop}x{crop}", seconds, 3 * count * 1e9 * complexity(model, crop, crop).gmacs)
    Console(width=None if sys.stdout.isatty() else 120).print(table)


if __name__ == "__main__":
    main()
