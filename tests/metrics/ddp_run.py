"""Tests the toy model on as many processes as asked and writes what rank 0 found: ddp_run.py PROCESSES FILE."""

import json
import sys
from pathlib import Path

import pytorch_lightning as pl

from ispbench.metrics.callbacks import QualityCallback
from tests.toys import ToyData, ToyRenderer


def main():
    processes, path = int(sys.argv[1]), Path(sys.argv[2])
    quality = QualityCallback(lpips=None)
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=processes,
        strategy="ddp" if processes > 1 else "auto",
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        callbacks=[quality],
    )
    data = ToyData(count=7, batch_size=2)
    [validated] = trainer.validate(ToyRenderer(), datamodule=data, verbose=False)
    trainer.test(ToyRenderer(), datamodule=data, verbose=False)
    if trainer.is_global_zero:
        found = {
            "processes": trainer.world_size,
            "validated": validated,
            "results": quality.results,
            "scores": quality.scores.to_dict("list"),
        }
        path.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
