"""What Lightning and the callbacks cost: seconds of a step and until the first one, as ratios to bare PyTorch.

    python benchmarks/loop.py --threads 2

The bare loop takes the same batches, network, loss, clipping of gradients, optimizer and schedule. Blocks of both
alternate, and the medians of their steps are compared; the ratio is to stay below 1.05. The first step of the command
line, on a warm cache, is compared with a process that only imports torch and Lightning; that ratio is to stay below
1.5.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from rich.console import Console
from rich.table import Table

RUN = [
    "model=metaisp",
    "data=mini",
    "data.crop=64",
    "data.batch_size=8",
    "optimizer.lr=1e-3",
    "trainer=cpu",
    "logger=csv",
]
RUN += ["test=false", "metrics=quality", "overwrite=always", "resume=never"]


class Clock(pl.Callback):
    """Notes when each step starts.

    Args:
        path: A file that the moment of the first step's end is written to, in seconds since the epoch.
    """

    def __init__(self, path: str | None = None) -> None:
        self.path = path
        self.times: list[float] = []

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        """Notes the time."""
        self.times.append(time.perf_counter())

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Writes the time of the first step's end."""
        if self.path is not None and len(self.times) == 1:
            Path(self.path).write_text(str(time.time()))


def with_lightning(steps: int, folder: str) -> list[float]:
    """Seconds of each step of a training with the default callbacks."""
    from ispbench.config import compose_run
    from ispbench.training import fit

    overrides = [*RUN, f"trainer.max_steps={steps}", f"trainer.val_check_interval={steps}"]
    config = compose_run([*overrides, f"paths.outputs={folder}", f"paths.results={folder}/results"])
    config.paths.run = tempfile.mkdtemp(dir=folder)
    clock, members = Clock(), fit.members
    fit.members = lambda group: [*members(group), *([clock] if group is config.callbacks else [])]
    try:
        fit.train(config, fit.load_data(config))
    finally:
        fit.members = members
    return [after - before for before, after in pairwise(clock.times)]


def bare(steps: int) -> list[float]:
    """Seconds of each step of a plain loop that does the same."""
    from torch.nn.utils import clip_grad_norm_

    from ispbench.config import build, compose
    from ispbench.training.fit import load_data
    from ispbench.training.schedules import advance

    config = compose([*RUN, f"trainer.max_steps={steps}"])
    data, model, loss = load_data(config), build(config.model).train(), build(config.loss)
    optimizer = build(config.optimizer)(model.parameters())
    scheduler = build(config.scheduler)(optimizer)
    times: list[float] = []
    while len(times) <= steps:
        for batch in data.train_dataloader():
            times.append(time.perf_counter())
            batch = data.to_canonical(batch)
            optimizer.zero_grad()
            loss(model.forward_scales(batch["raw"]), batch["target"], [], None)["loss"].backward()
            clip_grad_norm_(model.parameters(), config.trainer.gradient_clip_val)
            optimizer.step()
            advance(scheduler, len(times))
    return [after - before for before, after in pairwise(times)]


def first_step(folder: str) -> tuple[float, float]:
    """Seconds from the start of the process to the end of the first step, and of the bare imports."""
    path = Path(folder) / "first"
    clock = ["+callbacks.clock._target_=loop.Clock", f"+callbacks.clock.path={path}"]
    places = [f"paths.outputs={folder}", f"paths.results={folder}/results"]
    command = [sys.executable, "-m", "ispbench", *RUN, "trainer.max_steps=1", *clock, *places]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    started = time.time()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    taken = float(path.read_text()) - started
    started = time.time()
    subprocess.run([sys.executable, "-c", "import torch, pytorch_lightning"], check=True)
    return taken, time.time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2, help="of torch (default: 2)")
    parser.add_argument("--steps", type=int, default=60, help="of each block (default: 60)")
    parser.add_argument("--blocks", type=int, default=3, help="of each loop (default: 3)")
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        seconds: tuple[list[float], list[float]] = ([], [])
        for _ in range(options.blocks):
            seconds[0].extend(with_lightning(options.steps, folder)[2:])
            seconds[1].extend(bare(options.steps)[2:])
        starts = [first_step(folder) for _ in range(1 + options.blocks)][1:]
    table = Table("what", "ispbench", "bare", "ratio", title=f"{options.threads} threads")
    rows = [("step", *map(statistics.median, seconds))]
    rows += [("first step", *map(statistics.median, zip(*starts, strict=True)))]
    for what, ours, plain in rows:
        table.add_row(what, f"{1e3 * ours:.0f} ms", f"{1e3 * plain:.0f} ms", f"{ours / plain:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
