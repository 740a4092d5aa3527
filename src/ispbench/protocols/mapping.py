"""Giving a RAW the colors of its target, so that optical flow can compare the two."""

from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ispbench.models.coordinates import coordinate_grid
from ispbench.protocols.flow import short_hash
from ispbench.protocols.gcm import GCM
from ispbench.raw.demosaic import bilinear

_GAMMA = 2.2


class ColorMapping(Protocol):
    """Recolors a RAW without moving it.

    Attributes:
        name: Its part of a protocol's name.
    """

    name: str

    def __call__(self, raw: Tensor, target: Tensor) -> Tensor:
        """The RAW in the colors of its target.

        Args:
            raw: Canonical packed RAW, shape (4, h, w).
            target: sRGB in [0, 1], shape (3, 2h, 2w).

        Returns:
            sRGB in [0, 1], shape (3, 2h, 2w).
        """
        ...


class FittedGCM:
    """A `GCM` fitted to each pair on its own, from the same start.

    The fit sees both images small, where a shift of some pixels hardly counts, and only the 1x1 convolutions learn: for
    a single target its summary is a constant.

    Args:
        steps: Of Adam.
        lr: Its learning rate, falling to zero along a cosine.
        scale: How much smaller the images of the fit are, along each side.
    """

    _PLAIN = (300, 3e-3, 8)

    def __init__(self, steps: int = 300, lr: float = 3e-3, scale: int = 8) -> None:
        plain = (steps, lr, scale) == self._PLAIN
        self.name = "" if plain else f"fitted-{steps}-{lr:g}-{scale}"
        self.steps = steps
        self.lr = lr
        self.scale = scale

    def __call__(self, raw: Tensor, target: Tensor) -> Tensor:
        """See `ColorMapping`."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            gcm = GCM().to(raw.device)
        base = _gamma(raw)
        coord = coordinate_grid(base)
        scale = max(min(self.scale, min(base.shape[-2:]) // 8), 1)
        small, small_target, places = (F.avg_pool2d(value, scale) for value in (base, target[None], coord))
        with torch.no_grad():
            guide = gcm.guide(small, small_target, places)
        learnt = [*gcm.align_head.parameters(), *gcm.align_base.parameters(), *gcm.align_tail.parameters()]
        optimizer = torch.optim.Adam(learnt, self.lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(self.steps, 1))
        with torch.enable_grad():
            for _ in range(self.steps):
                optimizer.zero_grad()
                F.l1_loss(gcm.recolor(small, places, guide), small_target).backward()
                optimizer.step()
                schedule.step()
        with torch.no_grad():
            return gcm.recolor(base, coord, guide)[0].clamp(0, 1)


class TrainedGCM:
    """A trained `GCM`, such as the authors' ``GCMModel_model_<epoch>.pth``.

    Args:
        weights: Its file.
    """

    def __init__(self, weights: str) -> None:
        from ispbench.checkpoints import load_strictly, read_state_dict

        self._gcm = GCM().eval().requires_grad_(False)
        load_strictly(self._gcm, read_state_dict(weights), f"{weights} is not a checkpoint of the GCM")
        self.name = f"gcm-{short_hash(Path(weights))}"

    @torch.no_grad()
    def __call__(self, raw: Tensor, target: Tensor) -> Tensor:
        """See `ColorMapping`."""
        demosaic = bilinear(raw[None]).clamp_min(0)
        return self._gcm.to(raw.device)(demosaic, target[None], coordinate_grid(demosaic))[0].clamp(0, 1)


def _gamma(raw: Tensor) -> Tensor:
    return bilinear(raw[None]).clamp_min(0).pow(1 / _GAMMA)
