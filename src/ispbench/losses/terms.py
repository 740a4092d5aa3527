"""Training losses, and their weighted sum as configured in ``conf/loss/``.

Every term takes an image and its target, shape (N, 3, H, W), sRGB; the image may leave [0, 1] in training. Terms with
networks of their own stand in `perceptual` and `adversarial`, those on spectra in `fourier`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from hydra.utils import instantiate
from torch import Tensor, nn
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from ispbench.errors import UserError
from ispbench.metrics.quality import ssim
from ispbench.precision import full_precision

_GREY = (0.2989, 0.5870, 0.1140)  # of ITU-R BT.601, as TensorFlow rounds them


class Charbonnier(nn.Module):
    """``sqrt(d^2 + eps^2)`` (Charbonnier et al., ICIP 1994).

    Args:
        eps: Where the square turns into the absolute value.
        reduction: ``mean`` over all values, or their ``sum``.
    """

    def __init__(self, eps: float = 1e-3, reduction: str = "mean") -> None:
        super().__init__()
        if reduction not in ("mean", "sum"):
            raise UserError(f"loss.terms.charbonnier.reduction is mean or sum, not {reduction!r}.")
        self.eps = eps
        self.reduction = reduction

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch."""
        values = torch.sqrt((image - target).square() + self.eps**2)
        return values.mean() if self.reduction == "mean" else values.sum()


class PSNRLoss(nn.Module):
    """The negative PSNR in dB, a mean over images (NAFNet, Chen et al., ECCV 2022)."""

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch, negative; at best -80."""
        return 10 * torch.log10((image - target).square().mean((1, 2, 3)) + 1e-8).mean()


class OutlierAwareL1(nn.Module):
    """Absolute errors weighted by how far they stand out.

    With d the error in a channel of an image, b its standard deviation over the square root of 2 (the scale of a
    Laplace distribution) and ``t = |d - mean(d)| / b``, the weight is ``1 - exp(-t)`` (SYENet, Gou et al., ICCV 2023,
    arXiv 2308.08137) or ``tanh(t)`` (the local variance-weighted loss of MobileIE, Yan et al., ICCV 2025, arXiv
    2507.01838).
    No gradient passes through the weight.

    Args:
        curve: ``exp`` or ``tanh``.
    """

    def __init__(self, curve: str = "exp") -> None:
        super().__init__()
        if curve not in ("exp", "tanh"):
            raise UserError(f"loss.terms.outlier_l1.curve is exp or tanh, not {curve!r}.")
        self.curve = curve

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch."""
        error = image - target
        with torch.no_grad():
            distance = (error - error.mean((2, 3), keepdim=True)).abs()
            scale = error.std((2, 3), keepdim=True) / 2**0.5
            if self.curve == "exp":
                weight = 1 - torch.exp(-distance / scale.clamp_min(1e-12))
            else:
                weight = torch.tanh(distance / (scale + 1e-6))
        return (error.abs() * weight).mean()


class SSIMLoss(nn.Module):
    """``1 - SSIM``, as `ispbench.metrics.quality.ssim`.

    Args:
        padding: ``valid`` for windows inside the image, or ``zero``: a window around every pixel, black beyond the
            border, as in the code of AWNet, MW-ISPNet and LiteISPNet.
    """

    def __init__(self, padding: str = "valid") -> None:
        super().__init__()
        if padding not in ("valid", "zero"):
            raise UserError(f"loss.terms.ssim.padding is valid or zero, not {padding!r}.")
        self.border = 0 if padding == "valid" else 5  # half of the 11 x 11 window

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch, in [0, 2]."""
        if min(image.shape[-2:]) + 2 * self.border < 11:
            raise UserError(
                f"loss.weights.ssim needs patches of 11 pixels, not {min(image.shape[-2:])}; raise data.crop."
            )
        with full_precision(image):
            image, target = (F.pad(x, (self.border,) * 4) for x in (image, target))
            return 1 - ssim(image, target).mean()


class MSSSIMLoss(nn.Module):
    """``1 - MS-SSIM`` over five scales; images of at least 176 pixels a side.

    Args:
        grey: Whether the luma alone is compared.
    """

    def __init__(self, grey: bool = False) -> None:
        super().__init__()
        self.grey = grey

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
            if self.grey:
                luma = image.new_tensor(_GREY).view(1, 3, 1, 1)
                image, target = ((x * luma).sum(1, keepdim=True) for x in (image, target))
            value = multiscale_structural_similarity_index_measure(
                image, target, kernel_size=11, sigma=1.5, data_range=1.0, normalize="relu"
            )
        return 1 - value


class ColourAngleLoss(nn.Module):
    """Mean of ``1 - cos`` of the angle between the RGB vectors of image and target.

    Args:
        clamp: Whether the image is clamped to [0, 1] first, as SYENet does.
        eps: Least product of the two lengths; black has no angle.
    """

    def __init__(self, clamp: bool = False, eps: float = 1e-4) -> None:
        super().__init__()
        self.clamp = clamp
        self.eps = eps

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch, in [0, 2]."""
        image = image.clamp(0, 1) if self.clamp else image
        return 1 - F.cosine_similarity(image, target, dim=1, eps=self.eps).mean()


class BlurredChromaLoss(nn.Module):
    """Mean absolute difference of blurred U and V of YUV (LAN, Raimundo et al., CVPR Workshops 2022).

    The 21 x 21 window is the square root of a Gaussian (integrated over pixels, cut at 3 deviations), black beyond the
    border.
    """

    taps: Tensor
    matrix: Tensor

    def __init__(self) -> None:
        super().__init__()
        edges = torch.linspace(-3 - 1 / 6, 3 + 1 / 6, 22, dtype=torch.float64)
        taps = torch.special.ndtr(edges).diff().sqrt()
        self.register_buffer("taps", (taps / taps.sum()).float())
        uv = ((-0.14714119, -0.28886916, 0.43601035), (0.61497538, -0.51496512, -0.10001026))
        self.register_buffer("matrix", torch.tensor(uv))

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch."""
        with full_precision(image):
            error = torch.einsum("cj,njhw->nchw", self.matrix, (image - target).float())
            taps = self.taps.expand(2, 1, -1)
            rows = F.conv2d(error, taps[:, :, :, None], padding=(10, 0), groups=2)
            return F.conv2d(rows, taps[:, :, None], padding=(0, 10), groups=2).abs().mean()


class WeightedSum(nn.Module):
    """A weighted sum of terms, at one scale or several.

    Args:
        weights: Term name to weight; a term of weight zero is not even built.
        terms: Term name to its configuration, instantiated here.
        side_weights: Weights of the same terms for each side output of a multi-scale network, in its order: one mapping
            a side output. The target is resized to each; empty for the image alone.
        resize: How the target is brought to the size of a smaller output: ``bilinear`` (antialiased) or ``nearest``.

    Raises:
        UserError: for an unknown term or resize, or when no term has a weight.
    """

    def __init__(
        self,
        weights: Mapping[str, float],
        terms: Mapping[str, Any],
        side_weights: Sequence[Mapping[str, float]] = (),
        resize: str = "bilinear",
    ) -> None:
        super().__init__()
        if resize not in _RESIZES:
            raise UserError(f"loss.resize is {' or '.join(_RESIZES)}, not {resize!r}.")
        self.scales = [_nonzero(scale) for scale in (weights, *side_weights)]
        self.resize = _RESIZES[resize]
        names = sorted({name for scale in self.scales for name in scale})
        unknown = [name for name in names if name not in terms]
        if unknown:
            raise UserError(f"Unknown loss {', '.join(unknown)}; terms are {', '.join(terms)}.")
        if not self.scales[0]:
            raise UserError("The loss has no term: give one a weight, such as loss.weights.l1=1.")
        built: dict[str, nn.Module] = {name: instantiate(terms[name]) for name in names}
        # Terms that learn, as a discriminator does, are saved with the run. The others go into a plain dictionary:
        # pretrained networks inside a loss are neither trained, averaged nor saved with the model.
        self.learners = nn.ModuleDict({name: term for name, term in built.items() if getattr(term, "learns", False)})
        self.terms = {
            name: term if name in self.learners else term.eval().requires_grad_(False) for name, term in built.items()
        }

    def reweigh(self, weights: Mapping[str, float]) -> None:
        """Replaces the weights of the image.

        Raises:
            UserError: for a term that was not built, or when no term has a weight.
        """
        scale = _nonzero(weights)
        if not scale or not scale.keys() <= self.terms.keys():
            raise UserError(f"Weights {dict(weights)} must be of the loss's own terms: {', '.join(self.terms)}.")
        self.scales[0] = scale

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "WeightedSum":
        for name, term in self.terms.items():
            if name not in self.learners:
                term._apply(fn, recurse)
        return super()._apply(fn, recurse)

    def forward(self, outputs: Sequence[Tensor], target: Tensor) -> dict[str, Tensor]:
        """Every term at every scale.

        Args:
            outputs: The image, shape (N, 3, H, W), then side outputs.
            target: Shape (N, 3, H, W).

        Returns:
            ``loss``, the weighted sum, and each unweighted term: ``l1`` of the image, ``l1_1`` of the first side one.
        """
        if len(outputs) < len(self.scales):
            raise UserError(
                f"The loss weighs {len(self.scales) - 1} side outputs, but the model has {len(outputs) - 1}."
            )
        values: dict[str, Tensor] = {}
        total = target.new_zeros(())
        for number, (weights, output) in enumerate(zip(self.scales, outputs, strict=False)):
            fitting = target
            if any(not getattr(self.terms[name], "whole_target", False) for name in weights):
                fitting = self._fit(target, output)
            for name, weight in weights.items():
                term = self.terms[name]
                value = term(output, target if getattr(term, "whole_target", False) else fitting)
                values[f"{name}_{number}" if number else name] = value.detach()
                total = total + weight * value
        return {"loss": total, **values}

    def _fit(self, target: Tensor, output: Tensor) -> Tensor:
        size = output.shape[-2:]
        return target if target.shape[-2:] == size else F.interpolate(target, size, **self.resize)


_RESIZES: dict[str, dict[str, Any]] = {
    "bilinear": {"mode": "bilinear", "align_corners": False, "antialias": True},
    "nearest": {"mode": "nearest"},
}


def _nonzero(weights: Mapping[str, float]) -> dict[str, float]:
    return {name: float(weight) for name, weight in weights.items() if weight}
