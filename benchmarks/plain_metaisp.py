"""MetaISP's forward pass in plain operations, one for each step of the paper: what its fast form is compared with.

It reads the weights of a `MetaISPNet` with wavelet resampling, and computes in the memory layout it is given.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispbench.models.layers import LayerNorm2d, haar, inverse_haar
from ispbench.models.metaisp.blocks import ChannelCorrection
from ispbench.models.metaisp.network import MetaISPNet
from ispbench.models.metaisp.predictor import Predictor
from ispbench.models.shortcuts import without_shortcuts


def plain_forward(net: MetaISPNet, raw: Tensor) -> Tensor:
    """Renders packed RAW, shape (B, 4, h, w), to sRGB, shape (B, 3, 2h, 2w)."""
    with without_shortcuts():
        return _render(net, raw)


def _render(net: MetaISPNet, raw: Tensor) -> Tensor:
    x = net.head(raw.clamp_min(0).pow(1 / net.input_gamma) if net.input_gamma != 1 else raw)
    skips = []
    for blocks, down in zip(net.encoder, net.down, strict=True):
        x = _stage(blocks, x)
        skips.append(x)
        x = down.conv(haar(x))
    x = _stage(net.bottleneck, x)
    for blocks, up, skip in zip(net.decoder, net.up, reversed(skips), strict=True):
        x = inverse_haar(up.conv(_stage(blocks, x))) + skip
    return net.tail(x)


def _stage(blocks: nn.Module, x: Tensor) -> Tensor:
    for block in blocks.children():
        features = F.gelu(block.conv(_norm(block.norm, x)))
        weights = _weights(block.predictor, features)
        correct = _channels if isinstance(block, ChannelCorrection) else _pixels
        x = x + block.back(correct(block.bases, block.project(features), weights))
    return x


def _norm(norm: LayerNorm2d, x: Tensor) -> Tensor:
    variance, mean = torch.var_mean(x, dim=1, keepdim=True, correction=0)
    gain = norm.weight.view(1, -1, 1, 1) * torch.rsqrt(variance + norm.eps)
    return (x - mean) * gain + norm.bias.view(1, -1, 1, 1)


def _weights(predictor: Predictor, x: Tensor) -> Tensor:
    pooled = predictor.norm(predictor.spatial(x).mean((2, 3)))
    weights = predictor.out(F.relu(predictor.hidden(pooled)))
    return weights.softmax(1) if predictor.weighting == "softmax" else weights


def _channels(bases: Tensor, y: Tensor, weights: Tensor) -> Tensor:
    matrix = torch.einsum("bn,nkl->blk", weights, bases)
    return torch.bmm(matrix.to(y.dtype), y.flatten(2)).view_as(y)


def _pixels(bases: Tensor, y: Tensor, weights: Tensor) -> Tensor:
    vector = F.normalize(weights @ bases, dim=1)
    dot = torch.bmm(vector.to(y.dtype)[:, None], y.flatten(2)).view(len(y), 1, *y.shape[2:])
    precision = torch.promote_types(y.dtype, torch.float32)
    norm = torch.linalg.vector_norm(y, dim=1, keepdim=True, dtype=precision)
    return y * (dot / norm.clamp_min(1e-6)).to(y.dtype)
