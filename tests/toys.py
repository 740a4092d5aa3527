"""The smallest models and data with which a training can be watched."""

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from ispbench.losses.weighted_sum import WeightedSum
from ispbench.models.interface import ISPModel

L1 = {"l1": {"_target_": "torch.nn.L1Loss"}, "mse": {"_target_": "torch.nn.MSELoss"}}


class ToyISP(ISPModel):
    """A 1x1 convolution with known weights."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.net = nn.Sequential(nn.Conv2d(4, 12, 1), nn.PixelShuffle(2))
        with torch.no_grad():
            self.net[0].weight.copy_(0.25 * torch.rand(12, 4, 1, 1, generator=generator) + 0.1)
            self.net[0].bias.zero_()


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


class ToyPyramid(ISPModel):
    def __init__(self):
        super().__init__()
        self.net = PyramidNet()


class ToyPairs(Dataset):
    """Random pairs that depend on their index alone; `size` is that of the target."""

    def __init__(self, count, size):
        self.count, self.size = count, size
        self.names = [f"toy{i}" for i in range(count)]

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        height, width = self.size
        raw = torch.rand(4, height // 2, width // 2, generator=generator)
        target = torch.rand(3, height, width, generator=generator).mul(255).round().div(255)
        return {"raw": raw, "target": target, "index": index, "name": self.names[index]}


class ToyData(pl.LightningDataModule):
    def __init__(self, count=12, size=(24, 32), batch_size=2):
        super().__init__()
        self.pairs, self.batch_size = ToyPairs(count, size), batch_size

    def source(self, split):
        return self.pairs

    def train_dataloader(self):
        return DataLoader(self.pairs, self.batch_size, drop_last=True)

    def test_dataloader(self):
        return DataLoader(self.pairs, self.batch_size)

    val_dataloader = test_dataloader


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
