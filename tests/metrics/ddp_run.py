"""Scores seven images on as many processes as asked and saves what rank 0 collected: ddp_run.py PROCESSES FILE."""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.utils.data import DistributedSampler

from ispbench.metrics.collection import ImageScores
from ispbench.metrics.quality import quantize
from ispbench.metrics.scoring import load, score_images
from ispbench.metrics.table import choose

COUNT = 7


def score(rank, processes, path):
    dist.init_process_group("gloo", f"file://{path}.store", rank=rank, world_size=processes)
    images = torch.rand(2, COUNT, 3, 24, 32, generator=torch.Generator().manual_seed(0))
    metrics = choose(["psnr", "ssim", "ciede2000", "psnr_color_fitted"])
    loaded, _ = load(metrics)
    collected = ImageScores()
    # The sampler fills the last round up with images that had their turn.
    for part in torch.tensor(list(DistributedSampler(range(COUNT), shuffle=False))).split(2):
        collected.update(part, score_images(metrics, loaded, images[0, part], quantize(images[1, part])))
    indices, rows = collected.compute()
    if rank == 0:
        torch.save({"processes": dist.get_world_size(), "indices": indices.tolist(), "rows": torch.tensor(rows)}, path)
    dist.destroy_process_group()


if __name__ == "__main__":
    processes, path = int(sys.argv[1]), Path(sys.argv[2]).resolve()
    mp.spawn(score, (processes, path), nprocs=processes)
