"""A training of eleven steps whose end depends on all that a checkpoint has to bring back."""

from functools import partial

import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from torch import nn

from ispbench.config import compose
from ispbench.training.callbacks.checkpoints import Checkpoints
from ispbench.training.callbacks.ema import EMA
from ispbench.training.checkpoint_io import SafeCheckpointIO
from ispbench.training.module import ISPModule
from tests.toys import ToyPyramid, toy_loss, toy_trainer

STEPS = 11
SMALL = ["data=mini", "data.num_train=7", "data.leaves=1", "data.megapixels=0.003", "data.crop=16"]


def data(batch_size=2):
    return instantiate(compose([*SMALL, f"data.batch_size={batch_size}"]).data)


def module():
    torch.manual_seed(0)
    model = ToyPyramid()
    model.net = nn.Sequential(nn.Conv2d(4, 12, 1), nn.BatchNorm2d(12), nn.Dropout(0.5), nn.PixelShuffle(2))
    return ISPModule(model, toy_loss(), partial(torch.optim.Adam, lr=0.01), partial(_half_life))


def _half_life(optimizer):
    return torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)


class Score(pl.Callback):
    """What the checkpoints are chosen by: up and down with the steps, and a little by all images of the validation."""

    def on_validation_epoch_start(self, *_):
        self.seen = 0.0

    def on_validation_batch_end(self, trainer, pl_module, outputs, *_):
        self.seen += float(outputs.double().mean().clamp(-1, 1))

    def on_validation_epoch_end(self, trainer, pl_module):
        pl_module.log("val/psnr", trainer.global_step % 4 + trainer.global_step / 10 + self.seen / 100)


def train(folder, *callbacks, resume=None, pairs=None, average=True, **options):
    """The weights at the end, what ``last.ckpt`` holds, and the callback that keeps the checkpoints."""
    pairs = data() if pairs is None else pairs
    pairs.fingerprint()  # simulating them draws random numbers
    chosen = module()
    keeper = Checkpoints(str(folder / "checkpoints"))
    trainer = toy_trainer(
        STEPS,
        *([EMA()] if average else []),
        Score(),
        keeper,
        *callbacks,
        enable_checkpointing=True,
        use_distributed_sampler=False,
        plugins=[SafeCheckpointIO(resume)],
        **{"val_check_interval": 2, "limit_val_batches": 2, **options},
    )
    start = None if resume is None else str(resume.path)
    try:
        trainer.fit(chosen, datamodule=pairs, ckpt_path=start, weights_only=True)
    except SystemError:
        return None
    return chosen.model.state_dict(), torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True), keeper
