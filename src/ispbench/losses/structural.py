"""Losses on local structure: SSIM and MS-SSIM."""

import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from ispbench.errors import UserError
from ispbench.metrics.similarity import ssim
from ispbench.precision import full_precision

_GRAY = (0.2989, 0.5870, 0.1140)  # luma of ITU-R BT.601, as TensorFlow rounds it


class SSIMLoss(nn.Module):
    """``1 - SSIM``, as `ispbench.metrics.similarity.ssim`.

    Args:
        padding: ``valid`` for windows inside the image, or ``zero`` for a window around every pixel with black beyond
            the border, as in the code of AWNet, MW-ISPNet and LiteISPNet.

    Raises:
        UserError: for another padding.
    """

    def __init__(self, padding: str = "valid") -> None:
        super().__init__()
        if padding not in ("valid", "zero"):
            raise UserError(f"loss.terms.ssim.padding is valid or zero, not {padding!r}.")
        self.border = 0 if padding == "valid" else 5  # half of the 11 x 11 window

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch, in [0, 2].

        Raises:
            UserError: for images smaller than a window.
        """
        if min(image.shape[-2:]) + 2 * self.border < 11:
            raise UserError(
                f"loss.weights.ssim needs patches of 11 pixels, not {min(image.shape[-2:])}; raise data.crop."
            )
        with full_precision(image):
            image, target = (F.pad(x, (self.border,) * 4) for x in (image, target))
            return 1 - ssim(image, target).mean()


class MSSSIMLoss(nn.Module):
    """``1 - MS-SSIM`` over five scales, for images of more than 160 pixels a side.

    Args:
        gray: Whether to compare luma alone.
    """

    def __init__(self, gray: bool = False) -> None:
        super().__init__()
        self.gray = gray

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch.

        Raises:
            UserError: for images too small for five scales.
        """
        if min(image.shape[-2:]) <= 160:
            raise UserError(
                f"loss.weights.ms_ssim needs patches above 160 pixels, not {min(image.shape[-2:])}; raise data.crop."
            )
        with full_precision(image):
            image, target = image.float(), target.float()
            if self.gray:
                luma = image.new_tensor(_GRAY).view(1, 3, 1, 1)
                image, target = ((x * luma).sum(1, keepdim=True) for x in (image, target))
            value = multiscale_structural_similarity_index_measure(
                image, target, kernel_size=11, sigma=1.5, data_range=1.0, normalize="relu"
            )
        return 1 - value
