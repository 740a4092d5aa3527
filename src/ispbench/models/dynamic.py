"""Dynamic weights: modules that mix learned bases by weights predicted from the image, watched and replaced."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn


class DynamicWeights(nn.Module):
    """Base class of a module whose output, shape (B, N), holds the weights of N bases for each of B images."""


def predictors(model: nn.Module) -> list[DynamicWeights]:
    """The modules of a model that predict dynamic weights; empty for a static network."""
    return [module for module in model.modules() if isinstance(module, DynamicWeights)]


@contextmanager
def recorded(model: nn.Module) -> Iterator[list[list[Tensor]]]:
    """Keeps the weights that are predicted, one list of tensors (B, N) for each predictor."""
    kept: list[list[Tensor]] = [[] for _ in predictors(model)]
    with ExitStack() as hooks:
        for module, tensors in zip(predictors(model), kept, strict=True):
            hooks.enter_context(_hook(module, lambda *call, tensors=tensors: tensors.append(call[-1].detach())))
        yield kept


@contextmanager
def replaced(model: nn.Module, weights: Sequence[Tensor]) -> Iterator[None]:
    """Every image gets the same weights.

    Args:
        model: The model.
        weights: For each predictor those of its bases, shape (N,).
    """
    with ExitStack() as hooks:
        for module, values in zip(predictors(model), weights, strict=True):
            hooks.enter_context(_hook(module, lambda *call, values=values: values.to(call[-1]).expand_as(call[-1])))
        yield


@contextmanager
def _hook(module: nn.Module, function: Callable[..., Any]) -> Iterator[None]:
    handle = module.register_forward_hook(function)
    try:
        yield
    finally:
        handle.remove()
