"""MetaISP's correction blocks: channels (MCCB) and space (MSCB) corrected by mixtures of learned bases.

Both share one skeleton: ``X = GELU(conv(LayerNorm(x)))``, a projection Y of X to K channels, a correction of Y that is
mixed per image from a few learned bases by predicted weights p(X), a convolution back to C channels, and the residual.

Reference: Chen et al., "MetaISP: Efficient RAW-to-sRGB Mappings with Merely 1M Parameters", IJCAI 2024, pp. 686-694.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from timm.layers import SqueezeExcite
from torch import Tensor, nn

from ispbench.models import shortcuts
from ispbench.models.dynamic import DynamicWeights
from ispbench.models.layers import LayerNorm2d
from ispbench.models.metaisp.cosine import ScaledByCosine, cosine

Norm = Callable[[int], nn.Module]

# What stands before the first convolution of a block: ``group`` normalizes the whole map by one mean and variance.
NORMS: dict[str, Norm] = {
    "layer": LayerNorm2d,
    "group": partial(nn.GroupNorm, 1),
    "none": lambda channels: nn.Identity(),
}

# How a matrix of MCCB starts; every one lets the scale of Y pass.
BASIS_INITS: dict[str, Callable[[int], Tensor]] = {
    "identity": lambda size: torch.eye(size) + torch.randn(size, size) * (0.1 / size**0.5),
    "orthogonal": lambda size: nn.init.orthogonal_(torch.empty(size, size)),
    "normal": lambda size: torch.randn(size, size) / size**0.5,
}


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


class _CorrectionBlock(nn.Module):
    """The skeleton of both correction blocks; a subclass corrects Y by the weights of its bases."""

    def __init__(self, channels: int, basis_dim: int, predictor: Callable[[], Predictor], norm: Norm) -> None:
        super().__init__()
        self.norm = norm(channels)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.predictor = predictor()
        self.project = nn.Conv2d(channels, basis_dim, 3, padding=1)
        self.back = _zeroed(nn.Conv2d(basis_dim, channels, 3, padding=1))

    def correct(self, y: Tensor, weights: Tensor) -> Tensor:
        raise NotImplementedError

    def project_and_correct(self, features: Tensor, weights: Tensor) -> Tensor:
        return self.correct(self.project(features), weights)

    def forward(self, x: Tensor) -> Tensor:
        """Corrects a feature map, shape (B, C, H, W) to the same."""
        features = F.gelu(self.conv(self.norm(x)))
        return x + self.back(self.project_and_correct(features, self.predictor(features, x)))


class ChannelCorrection(_CorrectionBlock):
    """MCCB: the channels of Y are transformed by ``M = sum_n w_n phi_n``, phi_n learned K x K matrices.

    The last convolution starts at zero, so that an untrained block passes its input through.

    Args:
        channels: C.
        basis_dim: K.
        num_bases: N.
        predictor: Makes the block's predictor.
        norm: Makes the block's norm.
        init: How the matrices start: a key of `BASIS_INITS`.
    """

    def __init__(
        self,
        channels: int,
        basis_dim: int,
        num_bases: int,
        predictor: Callable[[], Predictor],
        norm: Norm = LayerNorm2d,
        init: str = "identity",
    ) -> None:
        super().__init__(channels, basis_dim, predictor, norm)
        self.bases = nn.Parameter(torch.stack([BASIS_INITS[init](basis_dim) for _ in range(num_bases)]))

    def correct(self, y: Tensor, weights: Tensor) -> Tensor:
        """Applies M to the channels of Y, shapes (B, K, H, W) and (B, N)."""
        matrix = torch.einsum("bn,nkl->bkl", weights, self.bases)
        pixels = y.permute(0, 2, 3, 1).flatten(1, 2)
        return torch.bmm(pixels, matrix.to(y.dtype)).unflatten(1, y.shape[2:]).permute(0, 3, 1, 2)

    def project_and_correct(self, features: Tensor, weights: Tensor) -> Tensor:
        """Projects and applies M; for a single image in inference by one convolution, M folded into its kernel."""
        if len(features) > 1 or torch.is_grad_enabled() or not shortcuts.taken():
            return super().project_and_correct(features, weights)
        matrix = torch.einsum("n,nkl->lk", weights[0], self.bases)
        kernel = (matrix @ self.project.weight.flatten(1)).view_as(self.project.weight)
        bias = self.project.bias
        assert bias is not None
        return F.conv2d(features, kernel, matrix @ bias, padding=1)


class SpatialCorrection(_CorrectionBlock):
    """MSCB: every pixel of Y is scaled by its cosine similarity to ``V = sum_n w_n eps_n``, eps_n learned K-vectors.

    Args:
        channels: C.
        basis_dim: K.
        num_bases: N.
        predictor: Makes the block's predictor.
        norm: Makes the block's norm.
    """

    def __init__(
        self,
        channels: int,
        basis_dim: int,
        num_bases: int,
        predictor: Callable[[], Predictor],
        norm: Norm = LayerNorm2d,
    ) -> None:
        super().__init__(channels, basis_dim, predictor, norm)
        self.bases = nn.Parameter(torch.randn(num_bases, basis_dim))

    def attention(self, y: Tensor, weights: Tensor) -> Tensor:
        """The spatial attention map S, shape (B, 1, H, W), in [-1, 1]."""
        return cosine(y.permute(0, 2, 3, 1), self.vector(weights))[0].permute(0, 3, 1, 2)

    def vector(self, weights: Tensor) -> Tensor:
        """The mixed vector V of each image, of length 1, shape (B, K)."""
        return F.normalize(weights @ self.bases, dim=1)

    def correct(self, y: Tensor, weights: Tensor) -> Tensor:
        """Scales the pixels of Y, shapes (B, K, H, W) and (B, N)."""
        if torch.is_grad_enabled() and shortcuts.taken():
            return ScaledByCosine.apply(y.permute(0, 2, 3, 1), self.vector(weights)).permute(0, 3, 1, 2)
        return y * self.attention(y, weights)


class PlainBlock(nn.Module):
    """A block without correction, for ablations: normalize, convolve, widen, convolve back, residual.

    Args:
        channels: C.
        hidden: The width between its last two convolutions.
        norm: Makes its norm.
    """

    def __init__(self, channels: int, hidden: int, norm: Norm = LayerNorm2d) -> None:
        super().__init__()
        self.body = nn.Sequential(
            norm(channels),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(channels, hidden, 3, padding=1),
            _zeroed(nn.Conv2d(hidden, channels, 3, padding=1)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps a feature map, shape (B, C, H, W) to the same."""
        return x + self.body(x)


class SqueezeExciteBlock(nn.Module):
    """The skeleton of MCCB with squeeze-and-excitation on Y in place of the learned bases, for ablations."""

    def __init__(self, channels: int, basis_dim: int, norm: Norm = LayerNorm2d) -> None:
        super().__init__()
        self.body = nn.Sequential(
            norm(channels),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(channels, basis_dim, 3, padding=1),
            SqueezeExcite(basis_dim, rd_ratio=0.25),
            _zeroed(nn.Conv2d(basis_dim, channels, 3, padding=1)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps a feature map, shape (B, C, H, W) to the same."""
        return x + self.body(x)


def equal_cost_width(kind: str, channels: int, basis_dim: int) -> int:
    """The hidden width at which a `PlainBlock` costs as many MACs per pixel as the correction block it replaces.

    The predictor's depthwise convolution costs 9C, the channel matrix K*K, the spatial cosine K; a unit of hidden width
    costs 18C.
    """
    correction = basis_dim**2 if kind == "mccb" else basis_dim
    return basis_dim + round((9 * channels + correction) / (18 * channels))


def _zeroed(conv: nn.Conv2d) -> nn.Conv2d:
    nn.init.zeros_(conv.weight)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return conv
