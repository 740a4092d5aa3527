"""What training on aligned targets gains where targets are displaced, as those of two cameras are.

    python benchmarks/aligned_training.py --steps 400 --seeds 3

Photographs of the installed packages are captured by a simulated sensor; each target is displaced by a smooth field of
some pixels, another for every pair. The same small MetaISP is trained on these targets as they are, on targets aligned
to the RAW ahead (``data.targets=aligned-gt-raw-dis``), and jointly (``alignment=joint``), each with several seeds. It
is scored against the undisplaced photographs, which no training has seen: the true rendering.
"""

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ispbench.config import build, compose
from ispbench.data.datamodule import PairedDataModule
from ispbench.data.datasets.mini import PHOTOS, read_photo
from ispbench.data.photographs import shrink
from ispbench.evaluation.evaluate import evaluate
from ispbench.protocols.training_targets import align_training
from ispbench.raw.captures import Capture
from ispbench.raw.simulate import BLACK_LEVEL, WHITE_LEVEL, simulate
from ispbench.training.module import ISPModule

SMALL = ["model=metaisp", "model.width=16", "model.basis_dim=16", "model.num_bases=4"]
FORMS = {
    "original": [],
    "aligned": ["data.targets=aligned-gt-raw-dis"],
    "joint": ["alignment=joint"],
}
SIDE = 192


def displaced(photo: NDArray[np.uint8], pixels: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A photo moved by a smooth field whose largest displacement is `pixels` along each axis."""
    height, width = photo.shape[:2]
    fields = [cv2.resize(rng.uniform(-1, 1, (3, 3)), (width, height), interpolation=cv2.INTER_CUBIC) for _ in "xy"]
    x, y = (pixels * field / np.abs(field).max() for field in fields)
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    places = (columns + x).astype(np.float32), (rows + y).astype(np.float32)
    return np.asarray(cv2.remap(photo, *places, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT), np.uint8)


def write_pairs(root: Path, pixels: float) -> None:
    """Writes tiles of the embedded photographs; training targets are displaced, those of the test are not."""
    rng = np.random.default_rng(0)
    capture = Capture("imx378", 5500.0, 0.8, 100.0)
    for split, names in PHOTOS.items():
        for name in names:
            photo = shrink(read_photo(name), megapixels=0.5)
            for top in range(0, photo.shape[0] - SIDE + 1, SIDE):
                for left in range(0, photo.shape[1] - SIDE + 1, SIDE):
                    tile = np.ascontiguousarray(photo[top : top + SIDE, left : left + SIDE])
                    target = displaced(tile, pixels, rng) if split == "train" else tile
                    stem = f"{name.partition(':')[2].partition('.')[0]}-{top}-{left}.png"
                    for folder, image in (("raw", simulate(tile, capture, rng)), ("gt", target[..., ::-1])):
                        path = root / split / folder / stem
                        path.parent.mkdir(parents=True, exist_ok=True)
                        cv2.imwrite(str(path), image)


def train(root: Path, steps: int, seed: int, overrides: list[str]) -> float:
    """Trains, and returns the mean PSNR against the true renderings of the test."""
    levels = [f"data.black_level={BLACK_LEVEL}", f"data.white_level={WHITE_LEVEL}"]
    budget = [f"trainer.max_steps={steps}", "trainer=cpu", "data.crop=96", "data.batch_size=8", "optimizer.lr=2e-3"]
    config = compose([*SMALL, "data=folder", f"data.root={root}", *levels, *budget, *overrides])
    data: PairedDataModule = build(config.data)
    data.seed, data.num_workers = seed, 0
    data.prepare_data()
    align_training(data, build(config.protocol))
    pl.seed_everything(seed, verbose=False)
    model = build(config.model)
    parts = {name: build(config[name]) for name in ("loss", "optimizer", "scheduler")}
    module = ISPModule(model, **parts, alignment=build(config.alignment) if config.get("alignment") else None)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "limit_val_batches": 0}
    build(config.trainer, **quiet).fit(module, datamodule=data)
    return float(evaluate(module.model, data, metrics=["psnr"], progress=False).summary["psnr"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400, help="of each training (default: 400)")
    parser.add_argument("--seeds", type=int, default=3, help="how many (default: 3)")
    parser.add_argument("--pixels", type=float, default=3.0, help="largest displacement along an axis (default: 3)")
    parser.add_argument("--threads", type=int, help="of torch (default: as torch finds fit)")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    table = Table("targets", "PSNR by seed", "mean", title=f"displaced by up to {options.pixels:g} px")
    with tempfile.TemporaryDirectory() as folder:
        write_pairs(Path(folder), options.pixels)
        for name, overrides in FORMS.items():
            seeds = track(range(options.seeds), name, transient=True)
            scores = [train(Path(folder), options.steps, seed, overrides) for seed in seeds]
            table.add_row(name, " ".join(f"{score:.2f}" for score in scores), f"{np.mean(scores):.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
