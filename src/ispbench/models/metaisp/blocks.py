"""MetaISP's correction blocks: channels (MCCB) and space (MSCB) corrected by mixtures of learned bases.

Both share one skeleton: ``X = GELU(conv(LayerNorm(x)))``, a projection Y of X to K channels, a correction of Y that is
mixed per image from a few learned bases by predicted weights p(X), a convolution back to C channels, and the residual.
All convolutions are 3x3; in a separable block the first is a 1x1 and a depthwise 3x3, and the others are 1x1.

Reference: Chen et al., "MetaISP: Efficient RAW-to-sRGB Mappings with Merely 1M Parameters", IJCAI 2024, pp. 686-694.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from timm.layers import SqueezeExcite
from torch import Tensor, nn

from ispbench.models import shortcuts
from ispbench.models.layers import LayerNorm2d, PointwiseConv
from ispbench.models.metaisp.cosine import ScaledByCosine, cosine
from ispbench.models.metaisp.predictor import Predictor

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


class _CorrectionBlock(nn.Module):
    """The skeleton of both correction blocks; a subclass corrects Y by the weights of its bases."""

    def __init__(
        self, channels: int, basis_dim: int, predictor: Callable[[], Predictor], norm: Norm, separable: bool
    ) -> None:
        super().__init__()
        self.norm = norm(channels)
        self.conv = _first_conv(channels, separable)
        self.predictor = predictor()
        self.project = _projection(channels, basis_dim, separable)
        self.back = _zeroed(_projection(basis_dim, channels, separable))

    def correct(self, y: Tensor, weights: Tensor) -> Tensor:
        raise NotImplementedError

    def branch(self, features: Tensor, weights: Tensor) -> Tensor:
        """To Y, its correction, and back: shapes (B, C, H, W) and (B, N) to (B, C, H, W)."""
        return self.back(self.correct(self.project(features), weights))

    def forward(self, x: Tensor) -> Tensor:
        """Corrects a feature map, shape (B, C, H, W) to the same."""
        features = F.gelu(self.conv(self.norm(x)))
        return x + self.branch(features, self.predictor(features, x))


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
        separable: Whether its convolutions are separable.
    """

    def __init__(
        self,
        channels: int,
        basis_dim: int,
        num_bases: int,
        predictor: Callable[[], Predictor],
        norm: Norm = LayerNorm2d,
        init: str = "identity",
        separable: bool = False,
    ) -> None:
        super().__init__(channels, basis_dim, predictor, norm, separable)
        self.bases = nn.Parameter(torch.stack([BASIS_INITS[init](basis_dim) for _ in range(num_bases)]))

    def matrix(self, weights: Tensor) -> Tensor:
        """M of each image, applied to rows, shape (B, K, K)."""
        return torch.einsum("bn,nkl->bkl", weights, self.bases)

    def correct(self, y: Tensor, weights: Tensor) -> Tensor:
        """Applies M to the channels of Y, shapes (B, K, H, W) and (B, N)."""
        pixels = y.permute(0, 2, 3, 1).flatten(1, 2)
        return torch.bmm(pixels, self.matrix(weights).to(y.dtype)).unflatten(1, y.shape[2:]).permute(0, 3, 1, 2)

    def branch(self, features: Tensor, weights: Tensor) -> Tensor:
        """To Y, its correction, and back: all linear, so that the maps are multiplied before the pixels are.

        Between 1x1 projections that leaves one C x C matrix for each image. Between 3x3 convolutions M goes into the
        first kernel, which pays for a single image in inference.
        """
        project, bias = self.project.weight.flatten(1), self.project.bias
        assert bias is not None
        if not shortcuts.taken():
            return super().branch(features, weights)
        if self.project.kernel_size == (1, 1):
            back = self.back.weight.flatten(1) @ self.matrix(weights).mT  # (B, C, K)
            pixels = features.permute(0, 2, 3, 1).flatten(1, 2)
            offset = back @ bias + self.back.bias  # type: ignore[operator]
            pixels = torch.baddbmm(offset[:, None], pixels, (back @ project).mT.to(pixels.dtype))
            return pixels.unflatten(1, features.shape[2:]).permute(0, 3, 1, 2)
        if len(features) > 1 or torch.is_grad_enabled():
            return super().branch(features, weights)
        matrix = self.matrix(weights)[0].T
        kernel = (matrix @ project).view_as(self.project.weight)
        return self.back(F.conv2d(features, kernel, matrix @ bias, padding=1))


class SpatialCorrection(_CorrectionBlock):
    """MSCB: every pixel of Y is scaled by its cosine similarity to ``V = sum_n w_n eps_n``, eps_n learned K-vectors.

    Args:
        channels: C.
        basis_dim: K.
        num_bases: N.
        predictor: Makes the block's predictor.
        norm: Makes the block's norm.
        separable: Whether its convolutions are separable.
    """

    def __init__(
        self,
        channels: int,
        basis_dim: int,
        num_bases: int,
        predictor: Callable[[], Predictor],
        norm: Norm = LayerNorm2d,
        separable: bool = False,
    ) -> None:
        super().__init__(channels, basis_dim, predictor, norm, separable)
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
        separable: Whether its convolutions are separable.
    """

    def __init__(self, channels: int, hidden: int, norm: Norm = LayerNorm2d, separable: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(
            norm(channels),
            _first_conv(channels, separable),
            nn.GELU(),
            _projection(channels, hidden, separable),
            _zeroed(_projection(hidden, channels, separable)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps a feature map, shape (B, C, H, W) to the same."""
        return x + self.body(x)


class SqueezeExciteBlock(nn.Module):
    """The skeleton of MCCB with squeeze-and-excitation on Y in place of the learned bases, for ablations."""

    def __init__(self, channels: int, basis_dim: int, norm: Norm = LayerNorm2d, separable: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(
            norm(channels),
            _first_conv(channels, separable),
            nn.GELU(),
            _projection(channels, basis_dim, separable),
            SqueezeExcite(basis_dim, rd_ratio=0.25),
            _zeroed(_projection(basis_dim, channels, separable)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps a feature map, shape (B, C, H, W) to the same."""
        return x + self.body(x)


def equal_cost_width(kind: str, channels: int, basis_dim: int, separable: bool = False) -> int:
    """The hidden width at which a `PlainBlock` costs as many MACs per pixel as the correction block it replaces.

    The predictor's depthwise convolution costs 9C, the channel matrix K*K, the spatial cosine K; a unit of hidden width
    costs 18C, in a separable block 2C.
    """
    correction = basis_dim**2 if kind == "mccb" else basis_dim
    return basis_dim + round((9 * channels + correction) / ((2 if separable else 18) * channels))


def _first_conv(channels: int, separable: bool) -> nn.Module:
    if not separable:
        return nn.Conv2d(channels, channels, 3, padding=1)
    return nn.Sequential(
        PointwiseConv(channels, channels), nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
    )


def _projection(channels: int, out_channels: int, separable: bool) -> nn.Conv2d:
    return PointwiseConv(channels, out_channels) if separable else nn.Conv2d(channels, out_channels, 3, padding=1)


def _zeroed(conv: nn.Conv2d) -> nn.Conv2d:
    nn.init.zeros_(conv.weight)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return conv
