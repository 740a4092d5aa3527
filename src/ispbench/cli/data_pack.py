"""``ispbench data pack``: decodes all pairs once into one file per split."""

import argparse
import time

from ispbench.data.datamodule import SPLITS, PairedDataModule
from ispbench.data.packing import build_pack, is_current
from ispbench.errors import UserError


def run(data: PairedDataModule, options: argparse.Namespace) -> None:
    """``ispbench data pack``."""
    for split in [options.split] if options.split else SPLITS:
        path = data.pack_path(split)
        if options.remove:
            for leftover in path.parent.glob(f"{split}.*"):
                leftover.unlink()
            print(f"removed {path}")
            continue
        source = data.open(split)
        if not len(source):
            raise UserError(f"The {split} split has no pairs; run: ispbench data check")
        if is_current(source, path):
            print(f"{split}: {len(source):,} pairs are packed already in {path}")
            continue
        started = time.perf_counter()
        build_pack(source, path, skip=data.on_error == "skip" and split == "train")
        seconds = time.perf_counter() - started
        size = path.stat().st_size / 1e9
        print(f"{split}: packed {len(source):,} pairs, {size:.2f} GB, in {seconds:.0f} s: {path}", flush=True)
