"""Fourier transforms of real maps in polar form, at full precision also under autocast."""

import torch
from torch import Tensor


def to_polar(x: Tensor, half: bool = True) -> tuple[Tensor, Tensor]:
    """Transforms a real map.

    Its self-conjugate bins (rows and columns 0 and n/2) are real. Their imaginary part, zero up to rounding
    and sign, is set to +0, so that the phase of a negative one is +pi on every device.

    Args:
        x: Shape (N, C, H, W).
        half: Whether to leave out the columns beyond W/2, which mirror the others.

    Returns:
        Amplitude, not scaled by the size, and phase in [-pi, pi], both of shape (N, C, H, W), or
        (N, C, H, W//2 + 1) if `half`, in float32 or wider.
    """
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    spectrum = torch.fft.rfft2(x) if half else torch.fft.fft2(x)
    row_step, column_step = (n // 2 if n % 2 == 0 else n for n in x.shape[-2:])
    imaginary = spectrum.imag.clone()
    imaginary[..., ::row_step, ::column_step] = 0
    return spectrum.abs(), torch.atan2(imaginary, spectrum.real)


def from_polar(amplitude: Tensor, phase: Tensor, half_of: torch.Size | None = None) -> Tensor:
    """Transforms a spectrum back to a real map; an imaginary part of the result is dropped.

    Args:
        amplitude: Shape (N, C, H, W), of either sign.
        phase: The same shape, any angles.
        half_of: The shape of the map if the spectrum is a half one, as from `to_polar`.
    """
    spectrum = torch.polar(amplitude, phase)
    return torch.fft.ifft2(spectrum).real if half_of is None else torch.fft.irfft2(spectrum, s=half_of[-2:])
