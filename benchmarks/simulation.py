"""What drawing a new capture for every crop costs: seconds to simulate a batch, as a share of a MetaISP training step.

    python benchmarks/simulation.py --threads 2

Each batch of ``data=mini`` is cropped, simulated and flipped as in training, in the training process itself; then
MetaISP takes a step on it (forward, L1, backward, Adam). Times are medians; the share is what carries over to other
machines, and it is to stay below a tenth.
"""

import argparse
import statistics
import time

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ispbench.config import build, compose
from ispbench.models.build import build_model

SETTINGS = ((4, 128), (8, 64))  # batch, crop
TRACKS = ("one-camera", "known-light")  # the cheapest and the dearest


def measure(track_name: str, batch_size: int, crop: int, steps: int) -> tuple[float, float]:
    """Median seconds of making a batch, and of a training step on it."""
    overrides = ["data=mini", f"data.track={track_name}", f"data.crop={crop}", f"data.batch_size={batch_size}"]
    data = build(compose(overrides).data)
    data.prepare_data()
    model = build_model("metaisp").train()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    batches = iter(data.train_dataloader())
    loading, training = [], []
    for _ in track(range(steps), f"{track_name}, {batch_size} x {crop}x{crop}", transient=True):
        started = time.perf_counter()
        batch = data.to_canonical(next(batches))
        loaded = time.perf_counter()
        optimizer.zero_grad()
        F.l1_loss(model(batch["raw"]), batch["target"]).backward()
        optimizer.step()
        loading.append(loaded - started)
        training.append(time.perf_counter() - loaded)
    return statistics.median(loading), statistics.median(training)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2, help="of torch (default: 2)")
    parser.add_argument("--steps", type=int, default=12, help="of each setting (default: 12)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    table = Table("track", "batch", "simulation", "training step", "share", title=f"{options.threads} threads")
    for name in TRACKS:
        for batch_size, crop in SETTINGS:
            loading, training = measure(name, batch_size, crop, options.steps)
            cells = (f"{1e3 * loading:.1f} ms", f"{1e3 * training:.0f} ms", f"{loading / training:.1%}")
            table.add_row(name, f"{batch_size} x {crop}x{crop}", *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
