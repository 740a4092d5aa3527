"""Pixels scaled by their cosine similarity to a vector, with a backward pass that keeps no intermediate maps."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_SMALLEST = 1e-6  # a pixel of a smaller norm is divided by this


def cosine(y: Tensor, vector: Tensor) -> tuple[Tensor, Tensor]:
    """The cosine of each pixel to a vector.

    Args:
        y: Shape (B, H, W, K).
        vector: One for each image, of length 1, shape (B, K).

    Returns:
        The cosines and the pixels' norms, both of shape (B, H, W, 1).
    """
    dot = torch.bmm(y.flatten(1, 2), vector.to(y.dtype)[:, :, None]).unflatten(1, y.shape[1:3])
    precision = torch.promote_types(y.dtype, torch.float32)
    norm = torch.linalg.vector_norm(y, dim=3, keepdim=True, dtype=precision).clamp_min(_SMALLEST)
    return (dot / norm).to(y.dtype), norm


class ScaledByCosine(torch.autograd.Function):
    """``y * cosine(y, vector)``; the gradients are written out, so that three passes over Y suffice."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, vector: Tensor) -> Tensor:
        """Scales pixels, shapes (B, H, W, K) and (B, K)."""
        cos, norm = cosine(y, vector)
        ctx.save_for_backward(y, vector, cos, norm)
        return y * cos

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """The gradients of Y and of the vector."""
        y, vector, cos, norm = ctx.saved_tensors
        vector = vector.to(y.dtype)
        along = ((gradient * y).sum(3, keepdim=True) / norm).to(y.dtype)  # of the cosine, by the norm
        of_y = (gradient * cos).addcmul_(y, along * (cos / norm).to(y.dtype), value=-1)
        pixels = along.flatten(1, 2)
        of_y = torch.baddbmm(of_y.flatten(1, 2), pixels, vector[:, None]).unflatten(1, y.shape[1:3])
        of_vector = torch.bmm(pixels.transpose(1, 2), y.flatten(1, 2))[:, 0]
        return of_y, of_vector
