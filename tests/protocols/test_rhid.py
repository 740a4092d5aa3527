"""Why aligned targets exist, on ten real pairs of a camera and a DSLR that fit each other within about a pixel."""

import numpy as np
import pytest
import torch
from torch import nn

from ispbench.data.image_files import read_mosaic, read_srgb
from ispbench.metrics.fast_similarity import ssim
from ispbench.metrics.quality import psnr, quantize
from ispbench.protocols.aligned import AlignedToRaw
from ispbench.protocols.flow import DIS, warp
from ispbench.protocols.mapping import FittedGCM
from ispbench.raw.bayer import pack

COUNT, STEPS, PATCH = 4, 200, 64


class SmallISP(nn.Module):
    """Two 3x3 convolutions that the statistics of the whole RAW steer: enough to learn the colours of a few pairs."""

    def __init__(self, width=24):
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(4, width, 3, padding=1), nn.ReLU())
        self.guide = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 2 * width))
        self.tail = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 12, 1), nn.PixelShuffle(2)
        )

    def forward(self, raw, statistics):
        gain, offset = self.guide(statistics)[..., None, None].chunk(2, dim=1)
        return self.tail(self.head(raw.clamp_min(0).add(1e-3).pow(1 / 2.2)) * (1 + gain) + offset)


@pytest.fixture(scope="module")
def pairs(shared):
    folder = shared / "data" / "mini_rhid"
    files = sorted((folder / "raw").iterdir())[:COUNT]
    raws = [torch.from_numpy(pack(read_mosaic(path)).astype(np.float32)) / 4095 for path in files]
    photos = [torch.from_numpy(read_srgb(folder / "gt" / path.name)).permute(2, 0, 1) / 255 for path in files]
    return torch.stack(raws), torch.stack(photos)


@pytest.fixture(scope="module")
def outputs(pairs):
    """Of one model, trained on the original targets."""
    raws, photos = pairs
    torch.manual_seed(0)
    rng, model = np.random.default_rng(0), SmallISP()
    statistics = torch.cat((raws.mean((2, 3)), raws.std((2, 3))), dim=1)
    optimizer = torch.optim.Adam(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, STEPS)
    for _ in range(STEPS):
        top, left = rng.integers(0, raws.shape[-1] - PATCH, 2)
        patch = raws[:, :, top : top + PATCH, left : left + PATCH]
        wanted = photos[:, :, 2 * top : 2 * (top + PATCH), 2 * left : 2 * (left + PATCH)]
        optimizer.zero_grad()
        (model(patch, statistics) - wanted).abs().mean().backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        return quantize(model(raws, statistics))


def test_alignment_raises_the_scores_of_one_and_the_same_trained_model(pairs, outputs):
    raws, photos = pairs
    protocol = AlignedToRaw(DIS(), FittedGCM())
    original = torch.stack((psnr(outputs, photos), ssim(outputs, photos)))
    warped = [protocol.align(raw, photo) for raw, photo in zip(raws, photos, strict=True)]
    target, mask = (torch.stack(part) for part in zip(*warped, strict=True))
    target = quantize(target)
    aligned = torch.stack((psnr(outputs, target, mask), ssim(outputs, target, mask)))
    print(f"\nPSNR, SSIM: original {original.mean(1).tolist()}, aligned {aligned.mean(1).tolist()}")
    assert original[0].mean() > 19
    assert (aligned > original).all()
    assert aligned[0].mean() > original[0].mean() + 0.3


def test_it_is_the_alignment_and_not_the_blur_of_warping(pairs, outputs):
    """The same flow the wrong way blurs as much, and lowers the score."""
    raws, photos = pairs
    mapping, flow = FittedGCM(), DIS()
    gains = []
    for raw, photo, output in zip(raws, photos, outputs, strict=True):
        motion = flow(mapping(raw, photo), photo)
        scores = [psnr(output[None], *(part[None] for part in warp(photo, sign * motion))) for sign in (1, -1)]
        gains.append((scores[0] - scores[1]).item())
    assert min(gains) > 0
