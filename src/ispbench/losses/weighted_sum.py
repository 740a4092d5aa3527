"""The weighted sum of loss terms that ``conf/loss/`` configures.

Every term takes an image and its target, both sRGB of shape (N, 3, H, W); in training the image may leave [0, 1].
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from hydra.utils import instantiate
from torch import Tensor, nn

from ispbench.errors import UserError


class WeightedSum(nn.Module):
    """A weighted sum of terms, at one scale or several.

    Args:
        weights: Term name to weight; a term of weight zero is not even built.
        terms: Term name to its configuration, instantiated here.
        side_weights: Weights of the same terms for each side output of a multi-scale network, in its order: one mapping
            per side output. The target is resized to each; empty for the image alone.
        resize: How the target is brought to the size of a smaller output: ``bilinear`` (antialiased) or ``nearest``.
        balance: None, or ``gradient``: in training each term is divided by the norm of its own gradient over the
            network's parameters before it is weighted, so that terms of any magnitude pull alike (Arhire and Timofte,
            CVPR Workshops 2025, arXiv 2505.10420).

    Attributes:
        terms: Name to each term that has a weight.
        learners: Those of them that are trained along with the network, as an adversarial loss is.

    Raises:
        UserError: for an unknown term or resize, when no term has a weight, or when a side output has an adversarial
            term.
    """

    def __init__(
        self,
        weights: Mapping[str, float],
        terms: Mapping[str, Any],
        side_weights: Sequence[Mapping[str, float]] = (),
        resize: str = "bilinear",
        balance: str | None = None,
    ) -> None:
        super().__init__()
        if balance not in (None, "gradient"):
            raise UserError(f"loss.balance is null or gradient, not {balance!r}.")
        self.balance = balance
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
        # Terms that learn are saved with the run. The others go into a plain dictionary: pretrained networks inside a
        # loss are neither trained, averaged nor saved with the model.
        self.learners = nn.ModuleDict({name: term for name, term in built.items() if getattr(term, "learns", False)})
        if misplaced := [name for scale in self.scales[1:] for name in scale if name in self.learners]:
            raise UserError(f"loss.side_weights cannot weigh {misplaced[0]}: its discriminator sees the image alone.")
        self.terms = {
            name: term if name in self.learners else term.eval().requires_grad_(False) for name, term in built.items()
        }

    @property
    def weights(self) -> dict[str, float]:
        """The weights of the image's own terms, without those of weight zero."""
        return self.scales[0]

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

    def forward(
        self,
        outputs: Sequence[Tensor],
        target: Tensor,
        parameters: Sequence[Tensor] = (),
        mask: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Every term at every scale.

        Args:
            outputs: The image, shape (N, 3, H, W), then side outputs.
            target: Shape (N, 3, H, W).
            parameters: Of the network in training, for `balance`; without them the terms are not balanced.
            mask: The valid pixels, shape (N, 1, H, W), 0 or 1; None for all. Elsewhere every term sees the target in
                place of the output: no error, no gradient, and no edge that the mask would draw.

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
            if mask is not None:
                output = self.keep_valid(output, target, mask)
            if any(not getattr(self.terms[name], "whole_target", False) for name in weights):
                fitting = self.fit(target, output)
            for name, weight in weights.items():
                term = self.terms[name]
                value = term(output, target if getattr(term, "whole_target", False) else fitting)
                values[f"{name}_{number}" if number else name] = value.detach()
                if self.balance and parameters:
                    value = value / _gradient_norm(value, parameters)
                total = total + weight * value
        return {"loss": total, **values}

    def keep_valid(self, output: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """An output with the target in place of its invalid pixels; a smaller output needs all it covers valid."""
        if mask.shape[-2:] != output.shape[-2:]:
            mask = 1 - F.adaptive_max_pool2d(1 - mask, output.shape[-2:])
        return torch.where(mask > 0.5, output, self.fit(target, output))

    def fit(self, target: Tensor, output: Tensor) -> Tensor:
        """The target at the size of an output."""
        size = output.shape[-2:]
        return target if target.shape[-2:] == size else F.interpolate(target, size, **self.resize)


_RESIZES: dict[str, dict[str, Any]] = {
    "bilinear": {"mode": "bilinear", "align_corners": False, "antialias": True},
    "nearest": {"mode": "nearest"},
}


def _gradient_norm(value: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """The norm of a term's gradient over all parameters together, at least 1e-12."""
    gradients = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
    norms = [torch.linalg.vector_norm(gradient.float()) for gradient in gradients if gradient is not None]
    return torch.linalg.vector_norm(torch.stack(norms)).clamp_min(1e-12)


def _nonzero(weights: Mapping[str, float]) -> dict[str, float]:
    return {name: float(weight) for name, weight in weights.items() if weight}
