"""A small model and a small dataset for the tests of the callbacks."""

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from ispbench.metrics.quality import quantize
from ispbench.models.interface import ISPModel


class ToyISP(ISPModel):
    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.net = nn.Sequential(nn.Conv2d(4, 12, 1), nn.PixelShuffle(2))
        with torch.no_grad():
            self.net[0].weight.copy_(0.25 * torch.rand(12, 4, 1, 1, generator=generator) + 0.1)
            self.net[0].bias.zero_()


class Toy(pl.LightningModule):
    """Renders, and corrupts what it rendered if asked."""

    def __init__(self, corrupt=None):
        super().__init__()
        self.model = ToyISP().eval()
        self.corrupt = corrupt

    @torch.no_grad()
    def forward(self, raw):
        """One by one: the model's own bits may depend on its batch."""
        return torch.cat([self.model(part) for part in raw.split(1)])

    def test_step(self, batch, index):
        images = self(batch["raw"])
        if self.corrupt:
            self.corrupt(images, batch)
        return images

    validation_step = test_step


class ToyPairs(Dataset):
    def __init__(self, count, size):
        self.count, self.size = count, size
        self.names = [f"toy{i}" for i in range(count)]

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        height, width = self.size
        raw = torch.rand(4, height // 2, width // 2, generator=generator)
        target = quantize(torch.rand(3, height, width, generator=generator))
        return {"raw": raw, "target": target, "index": index, "name": self.names[index]}


class ToyData(pl.LightningDataModule):
    def __init__(self, count=5, size=(24, 32), batch_size=2):
        super().__init__()
        self.pairs, self.batch_size = ToyPairs(count, size), batch_size

    def source(self, split):
        return self.pairs

    def test_dataloader(self):
        return DataLoader(self.pairs, self.batch_size)

    val_dataloader = test_dataloader


def images_of(data):
    pairs = [data.pairs[index] for index in range(len(data.pairs))]
    return tuple(torch.stack([pair[key] for pair in pairs]) for key in ("raw", "target"))
