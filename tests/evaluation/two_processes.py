"""Scores the toy network on as many processes as asked: two_processes.py PROCESSES FILE."""

import json
import sys
from pathlib import Path

import torch
import torch.distributed
import torch.multiprocessing

from ispbench.evaluation.evaluate import evaluate
from tests.evaluation.toy_data import ToyData
from tests.toys import ToyISP


def work(rank, processes, path):
    if processes > 1:
        store = f"file://{path}.store"
        torch.distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=processes)
    model = ToyISP().eval()

    def one_by_one(raw):
        return torch.cat([model(part) for part in raw.split(1)])

    result = evaluate(one_by_one, ToyData(count=7), metrics=["psnr", "ssim"], device="cpu", progress=False)
    found = {"scores": result.scores.to_dict("list"), "summary": result.summary}
    Path(f"{path}.{rank}").write_text(json.dumps(found))


if __name__ == "__main__":
    torch.multiprocessing.spawn(work, (int(sys.argv[1]), sys.argv[2]), nprocs=int(sys.argv[1]))
