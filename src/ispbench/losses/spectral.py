"""Losses on the Fourier spectrum, after FourierISP (He et al., AAAI 2024, arXiv 2401.02161).

Spectra are those of ``torch.fft.rfft2`` over the image's height and width, without scaling, in float32.
"""

import torch
from torch import Tensor, nn

from ispbench.errors import UserError
from ispbench.precision import full_precision


def spectrum(image: Tensor) -> Tensor:
    """The half spectrum of each channel: (N, C, H, W) to complex (N, C, H, W / 2 + 1)."""
    with full_precision(image):
        return torch.fft.rfft2(image.float())


class FourierLoss(nn.Module):
    """Mean absolute difference of the real and imaginary parts of the spectra of image and target."""

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch; it grows with the square root of the number of pixels."""
        return torch.view_as_real(spectrum(image) - spectrum(target)).abs().mean()


class SpectralPartLoss(nn.Module):
    """Mean absolute difference between a side output that is itself a phase or amplitude spectrum and the target's.

    Args:
        part: ``phase`` (in radians) or ``amplitude``.
        multiple: The target's sides must be multiples of this. Otherwise the network pads its input, and the spectrum
            of a padded image is not that of the image.

    Raises:
        UserError: for another part.
    """

    whole_target = True

    def __init__(self, part: str, multiple: int = 16) -> None:
        super().__init__()
        if part not in ("phase", "amplitude"):
            raise UserError(f"A spectral loss compares phase or amplitude, not {part!r}.")
        self.part = torch.angle if part == "phase" else torch.abs
        self.multiple = multiple

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            output: The side output, shape (N, 3, H, W / 2 + 1).
            target: The image itself, shape (N, 3, H, W).

        Raises:
            UserError: for an output of another shape or a target that the network had to pad.
        """
        height, width = target.shape[-2:]
        if height % self.multiple or width % self.multiple:
            raise UserError(
                f"The loss on phase and amplitude needs patches whose sides are multiples of {self.multiple}, not "
                f"{height}x{width}; set data.crop."
            )
        expected = self.part(spectrum(target))
        if output.shape != expected.shape:
            raise UserError(
                f"The loss on phase and amplitude wants a side output of shape {tuple(expected.shape)}, not "
                f"{tuple(output.shape)}; it is for model=fourierisp."
            )
        return (output - expected).abs().mean()
