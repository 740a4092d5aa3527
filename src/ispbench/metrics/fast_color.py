"""CIEDE2000 on a CPU in float32, several times as fast as `ispbench.metrics.color`.

Optional: the functions have the same names and arguments; the mean over an image agrees to 1e-4 and 5e-5 of its value.
On other devices `ciede2000` is that of `ispbench.metrics.color`. ``benchmarks/metrics.py`` shows the gain.
"""

import math
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from ispbench.metrics import color
from ispbench.metrics.arithmetic import deterministic
from ispbench.metrics.color import LAB_LINEAR, SRGB_LINEAR, XYZ
from ispbench.metrics.quality import average

_HUES = 1 << 17  # entries of the table
_PIECE = 1 << 18  # pixels that are worked on at once, so that they stay in the cache


def ciede2000(images: Tensor, references: Tensor, mask: Tensor | None = None) -> Tensor:
    """`color.ciede2000`."""
    if images.device.type != "cpu":
        return color.ciede2000(images, references, mask)
    return average(ciede2000_map(images, references), mask).squeeze(1).float()


@torch.no_grad()
def ciede2000_map(images: Tensor, references: Tensor) -> Tensor:
    """CIEDE2000 of every pixel, shape (N, 3, H, W) to (N, 1, H, W)."""
    count, _, height, width = images.shape
    with deterministic(images):
        pixels = [value.float().movedim(1, 0).reshape(3, -1) for value in (images, references)]
        pieces = [
            delta_e(srgb_to_lab(x), srgb_to_lab(y))
            for x, y in zip(*(value.split(_PIECE, dim=1) for value in pixels), strict=True)
        ]
        return torch.cat(pieces).view(count, 1, height, width)


def srgb_to_lab(srgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """L*, a* and b* of sRGB in [0, 1], shape (3, P) to three of shape (P,)."""
    # Each curve is the sum of its power part, held constant below the joint, and its linear part, held above it.
    # Constant factors and summands wait for the next product with a matrix.
    factor = 1.055**-2.4
    curve = srgb.clamp_min(SRGB_LINEAR).add_(0.055).log_().mul_(2.4).exp_()
    curve.add_(srgb.clamp_max(SRGB_LINEAR), alpha=1 / 12.92 / factor)
    matrix = srgb.new_tensor(XYZ)
    xyz = torch.addmm(matrix.sum(1, keepdim=True) * (-SRGB_LINEAR / 12.92), matrix * factor, curve)
    x, y, z = xyz.clamp_min(LAB_LINEAR).log_().mul_(1 / 3).exp_().add_(xyz.clamp_max_(LAB_LINEAR), alpha=7.787)
    return (116 * y).sub_(16 + 116 * 7.787 * LAB_LINEAR), (x - y).mul_(500), (y - z).mul_(200)


def delta_e(first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
    """CIEDE2000 between colors in CIE L*a*b*, each three of shape (P,), to shape (P,).

    The mean hue is the direction of the bisector of both, which needs one arctangent and no case distinctions; where a
    color has no hue, every term with a hue vanishes.
    """
    (light1, a1, b1), (light2, a2, b2) = first, second
    square1, square2 = b1 * b1, b2 * b2
    chromas = torch.addcmul(square1, a1, a1).sqrt_().add_(torch.addcmul(square2, a2, a2).sqrt_())
    stretch = _chroma_ratio(chromas).mul_(-0.5).add_(1.5)
    a1, a2 = a1 * stretch, a2 * stretch
    chroma1, chroma2 = square1.addcmul_(a1, a1).sqrt_(), square2.addcmul_(a2, a2).sqrt_()
    chromas = chroma1 + chroma2
    hue = torch.atan2(torch.addcmul(b1 * chroma2, b2, chroma1), torch.addcmul(a1 * chroma2, a2, chroma1))
    weight, rotation = _of_hue(hue)

    from_fifty = (light1 + light2).sub_(100).square_().mul_(0.25)
    d_light = (light2 - light1).div_(from_fifty.div_((from_fifty + 20).sqrt_()).mul_(0.015).add_(1))
    difference, rise = chroma2 - chroma1, b2 - b1
    chord = (a2 - a1).square_().addcmul_(rise, rise).addcmul_(difference, difference, value=-1)
    turn = torch.addcmul(a1 * b2, a2, b1, value=-1)
    d_hue = chord.clamp_min_(0).sqrt_().copysign_(turn).div_(weight.mul_(chromas).mul_(0.0075).add_(1))
    d_chroma = difference.div_((0.0225 * chromas).add_(1))
    rotation = rotation.mul_(_chroma_ratio(chromas)).mul_(d_chroma)
    squares = d_light.square_().addcmul_(d_chroma, d_chroma).addcmul_(d_hue, d_hue)
    return squares.addcmul_(rotation, d_hue).clamp_min_(0).sqrt_()


def _of_hue(hue: Tensor) -> tuple[Tensor, Tensor]:
    """T, the hue's part in the weight of hue differences, and ``-2 sin(2 dtheta)``, looked up.

    A table of 2^17 hues is exact to 6e-5 and several times as fast as four cosines, a sine and an exponential.
    """
    table = _hue_table().to(hue.device)
    number = hue.add_(math.pi).mul_(_HUES / (2 * math.pi)).to(torch.int32)
    return table[0].index_select(0, number), table[1].index_select(0, number)


@cache
@torch.inference_mode(False)
def _hue_table() -> Tensor:
    # Each entry holds the values at the middle of its hues; the last is for 180 degrees itself.
    middle = torch.arange(_HUES + 1, dtype=torch.float64) + 0.5
    hue = 360 * middle / _HUES - 180

    def cosine(times: int, turn: float) -> Tensor:
        return torch.cos(torch.deg2rad(times * hue + turn))

    weight = 1 - 0.17 * cosine(1, -30) + 0.24 * cosine(2, 0) + 0.32 * cosine(3, 6) - 0.20 * cosine(4, -63)
    bell = torch.exp(-((torch.remainder(hue, 360) - 275) / 25).square())
    rotation = -2 * torch.sin(math.radians(60) * bell)
    # Denormal numbers would be slow.
    return torch.stack((weight, torch.where(bell < 1e-9, 0.0, rotation))).float()


def _chroma_ratio(sum_of_two: Tensor) -> Tensor:
    """``sqrt(C^7 / (C^7 + 25^7))`` of the mean C of two chromas."""
    square = sum_of_two * sum_of_two
    power = (square * square).mul_(square).mul_(sum_of_two)
    return power.div_(power + 50.0**7).sqrt_()
