"""The smallest model and data with which the training can be watched."""

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from ispbench.losses.terms import WeightedSum
from ispbench.models.interface import ISPModel

L1 = {"l1": {"_target_": "torch.nn.L1Loss"}, "mse": {"_target_": "torch.nn.MSELoss"}}


class PyramidNet(nn.Module):
    """Renders at 1/2^level of the full size; each level has a gain of its own, and all share one bias."""

    def __init__(self):
        super().__init__()
        self.level = 0
        self.gains = nn.Parameter(torch.ones(3))
        self.bias = nn.Parameter(torch.zeros(3, 1, 1))

    def forward(self, raw):
        image = nn.functional.interpolate(raw[:, [0, 1, 3]], scale_factor=2.0 / 2**self.level)
        return image * self.gains[self.level] + self.bias


class Toy(ISPModel):
    def __init__(self):
        super().__init__()
        self.net = PyramidNet()


class Pairs(Dataset):
    def __len__(self):
        return 12

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        raw = torch.rand(4, 8, 8, generator=generator)
        return {"raw": raw, "target": torch.rand(3, 16, 16, generator=generator), "index": index}


class ToyData(pl.LightningDataModule):
    def __init__(self, batch_size=2):
        super().__init__()
        self.batch_size = batch_size

    def train_dataloader(self):
        return DataLoader(Pairs(), batch_size=self.batch_size, drop_last=True)

    def val_dataloader(self):
        return DataLoader(Pairs(), batch_size=4)


def toy_loss(**weights):
    return WeightedSum(weights or {"l1": 1.0}, L1)


def toy_trainer(max_steps, *callbacks, **options):
    return pl.Trainer(
        accelerator="cpu",
        max_steps=max_steps,
        callbacks=list(callbacks),
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        check_val_every_n_epoch=None,
        **{"enable_checkpointing": False, "limit_val_batches": 0, "val_check_interval": max_steps, **options},
    )
