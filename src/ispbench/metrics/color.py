"""The perceived color difference CIEDE2000, image by image: the published formulas in plain torch.

The conventions are those of `ispbench.metrics.quality`. On a CPU `ispbench.metrics.fast_color` computes the same values
several times as fast.

    >>> import torch
    >>> ciede2000(torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4))
    tensor([100.])

Reference: Sharma, Wu and Dalal, "The CIEDE2000 color-difference formula: implementation notes, supplementary test data,
and mathematical observations", Color Research and Application 2005; sRGB: IEC 61966-2-1, white point D65, 2 degrees.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ispbench.metrics.arithmetic import deterministic, widest
from ispbench.metrics.quality import average

# Linear sRGB to XYZ, each row divided by the white point.
XYZ = (
    (0.412453 / 0.95047, 0.357580 / 0.95047, 0.180423 / 0.95047),
    (0.212671, 0.715160, 0.072169),
    (0.019334 / 1.08883, 0.119193 / 1.08883, 0.950227 / 1.08883),
)
SRGB_LINEAR, LAB_LINEAR = 0.04045, 0.008856  # below these the curves of sRGB and of L*a*b* are straight lines


def ciede2000(images: Tensor, references: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean CIEDE2000 of each image, kL = kC = kH = 1; lower is better. It has no gradient.

    Args:
        images: sRGB in [0, 1], shape (N, 3, H, W).
        references: Of the same shape.
        mask: Pixels that count, shape (N, 1, H, W); None for all.

    Returns:
        Shape (N,), float32; 1 is about a just noticeable difference.
    """
    return average(ciede2000_map(images, references), mask).squeeze(1).float()


@torch.no_grad()
def ciede2000_map(images: Tensor, references: Tensor) -> Tensor:
    """CIEDE2000 of every pixel, shape (N, 3, H, W) to (N, 1, H, W), float64."""
    with deterministic(images):
        first, second = (srgb_to_lab(value.to(widest(value)).movedim(1, 0)) for value in (images, references))
        return delta_e(first, second).unsqueeze(1)


def srgb_to_lab(srgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """L*, a* and b* of sRGB in [0, 1], shape (3, ...) to three of shape (...)."""
    linear = torch.where(srgb > SRGB_LINEAR, ((srgb + 0.055) / 1.055) ** 2.4, srgb / 12.92)
    xyz = torch.tensordot(srgb.new_tensor(XYZ), linear, dims=1)
    x, y, z = torch.where(xyz > LAB_LINEAR, xyz ** (1 / 3), 7.787 * xyz + 16 / 116)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def delta_e(first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
    """CIEDE2000 between colors in CIE L*a*b*, each given as L*, a* and b* of one shape; returns that shape."""
    (light1, a1, b1), (light2, a2, b2) = first, second

    # Equations 2 to 7: chroma and hue with a* stretched for near-neutral colors.
    stretch = 1.5 - 0.5 * _chroma_ratio((torch.hypot(a1, b1) + torch.hypot(a2, b2)) / 2)
    a1, a2 = stretch * a1, stretch * a2
    chroma1, chroma2 = torch.hypot(a1, b1), torch.hypot(a2, b2)
    hue1, hue2 = (torch.rad2deg(torch.atan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))

    # Equations 8 to 11: the differences, that of hues the short way around.
    d_light, d_chroma = light2 - light1, chroma2 - chroma1
    d_angle = hue2 - hue1
    d_angle = d_angle + torch.where(d_angle > 180, -360.0, torch.where(d_angle < -180, 360.0, 0.0))
    d_hue = 2 * torch.sqrt(chroma1 * chroma2) * _sin(d_angle / 2)

    # Equations 12 to 14: the means, that of hues on the short way; a color without chroma has no hue.
    light, chroma = (light1 + light2) / 2, (chroma1 + chroma2) / 2
    far = (hue1 - hue2).abs() > 180
    hue = (hue1 + hue2) / 2 + torch.where(far, torch.where(hue1 + hue2 < 360, 180.0, -180.0), 0.0)
    hue = torch.where(chroma1 * chroma2 == 0, hue1 + hue2, hue)

    # Equations 15 to 22: the weights, the rotation between chroma and hue, and their sum.
    t = 1 - 0.17 * _cos(hue - 30) + 0.24 * _cos(2 * hue) + 0.32 * _cos(3 * hue + 6) - 0.20 * _cos(4 * hue - 63)
    turn = 30 * torch.exp(-(((hue - 275) / 25) ** 2))
    from_fifty = (light - 50) ** 2
    light_term = d_light / (1 + 0.015 * from_fifty / torch.sqrt(20 + from_fifty))
    chroma_term = d_chroma / (1 + 0.045 * chroma)
    hue_term = d_hue / (1 + 0.015 * chroma * t)
    rotation = -2 * _chroma_ratio(chroma) * _sin(2 * turn)
    squares = light_term**2 + chroma_term**2 + hue_term**2 + rotation * chroma_term * hue_term
    return torch.sqrt(squares.clamp_min(0))


def _chroma_ratio(chroma: Tensor) -> Tensor:
    return torch.sqrt(chroma**7 / (chroma**7 + 25.0**7))


def _cos(degrees: Tensor) -> Tensor:
    return torch.cos(torch.deg2rad(degrees))


def _sin(degrees: Tensor) -> Tensor:
    return torch.sin(torch.deg2rad(degrees))
