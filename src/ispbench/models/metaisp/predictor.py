"""The predictor of MetaISP's dynamic weights: how an image chooses the mixture of the bases."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispbench.models import shortcuts
from ispbench.models.dynamic import DynamicWeights


class TrackedNorm(nn.Module):
    """Normalizes descriptors by their running mean and variance over images, in training as in evaluation.

    Batch norm takes the statistics of the batch in training, so that there the descriptor of an image hangs on the few
    others beside it. Here it does not, and a batch may hold a single image.

    Args:
        channels: C.
        momentum: The share of the newest batch in the statistics.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.momentum, self.eps = momentum, eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalizes descriptors, shape (B, C); in training after the statistics have taken them in."""
        if self.training:
            with torch.no_grad():
                values = x.to(self.running_mean.dtype)
                self.running_mean.lerp_(values.mean(0), self.momentum)
                self.running_var.lerp_((values - self.running_mean).square().mean(0), self.momentum)
        return (x - self.running_mean) * torch.rsqrt(self.running_var + self.eps)


# What normalizes the descriptor of an image; ``running``: statistics over images, as batch norm keeps them;
# ``tracked``: the same, in training too.
DESCRIPTOR_NORMS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda channels: nn.Identity(),
    "layer": partial(nn.LayerNorm, elementwise_affine=False),
    "running": partial(nn.BatchNorm1d, affine=False),
    "tracked": TrackedNorm,
}


class Predictor(DynamicWeights):
    """Predicts the weights of N bases for each image.

    Args:
        channels: C.
        num_bases: N.
        depthwise: Whether a depthwise 3x3 convolution stands before the global average.
        weighting: ``softmax`` for weights that sum to one, ``linear`` for free ones.
        descriptor: What is averaged: ``features``, those that the block corrects; ``input``, the block's input, whose
            level no norm has removed; ``energy``, the squares of that input, of whose averages the logarithm is taken.
        descriptor_norm: A key of `DESCRIPTOR_NORMS`.
        temperature: What the logits are divided by.
    """

    def __init__(
        self,
        channels: int,
        num_bases: int,
        depthwise: bool = True,
        weighting: str = "softmax",
        descriptor: str = "features",
        descriptor_norm: str = "none",
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        depthwise = depthwise and descriptor != "energy"
        self.spatial = nn.Conv2d(channels, channels, 3, padding=1, groups=channels) if depthwise else nn.Identity()
        self.norm = DESCRIPTOR_NORMS[descriptor_norm](channels)
        self.hidden = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, num_bases)
        self.weighting, self.descriptor, self.temperature = weighting, descriptor, temperature

    def forward(self, features: Tensor, x: Tensor) -> Tensor:
        """Returns the weights w_n of each image, shape (B, N).

        Args:
            features: Of the block, shape (B, C, H, W).
            x: The block's input, of the same shape.
        """
        if self.descriptor == "energy":
            pooled = x.square().mean((2, 3)).clamp_min(1e-8).log()
        else:
            pooled = self.pool(x if self.descriptor == "input" else features)
        weights = self.out(F.relu(self.hidden(self.norm(pooled)))) / self.temperature
        return weights.softmax(1) if self.weighting == "softmax" else weights

    def pool(self, x: Tensor) -> Tensor:
        """The global average of the depthwise convolution, shape (B, C).

        A tap of the kernel sees all of the map but the row and the column that it shifts into the zero padding, so that
        the average follows from nine averages of the map and nothing is convolved.
        """
        if isinstance(self.spatial, nn.Identity) or not shortcuts.taken():
            return self.spatial(x).mean((2, 3))
        rows, columns = (_seen(size, x) for size in x.shape[2:])
        averages = columns @ (rows @ x.permute(0, 2, 3, 1).flatten(2)).unflatten(2, (x.shape[3], -1))  # (B, 3, 3, C)
        return (averages.flatten(1, 2) * self.spatial.weight.flatten(1).T).sum(1) + self.spatial.bias


def _seen(size: int, like: Tensor) -> Tensor:
    """Averages of a line of pixels without the last, with all, and without the first, a matrix of shape (3, size)."""
    seen = like.new_full((3, size), 1 / size)
    seen[0, -1] = seen[2, 0] = 0
    return seen
