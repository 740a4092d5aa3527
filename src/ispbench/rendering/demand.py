"""What a forward pass demands, found by a dry run without values."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


@dataclass(frozen=True)
class Demand:
    """What a forward pass demands.

    Attributes:
        peak: Bytes of all tensors that exist at the same time, at most, besides the parameters and the RAW.
        largest: Bytes of the largest of them.
        work: Bytes of all results, of whatever operation.
    """

    peak: int
    largest: int
    work: int


def demand_of(model: nn.Module, height: int, width: int) -> Demand | None:
    """What a model demands for packed RAW of shape (1, 4, `height`, `width`).

    Returns:
        None where it cannot be known, since the model leaves PyTorch on its way.
    """
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    without_values = {name: tensor.detach().to("meta") for name, tensor in tensors.items()}
    raw = torch.empty(1, 4, height, width, device="meta")
    count = _Count()
    try:
        with torch.no_grad(), count:
            functional_call(model, without_values, (raw,))
    except (NotImplementedError, RuntimeError, TypeError):  # it asked for values; what else is wrong shows later
        return None
    return Demand(count.peak, count.largest, count.work)


class _Count(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.peak = self.largest = self.work = 0
        self._alive: dict[StorageWeakRef, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.is_view:
            return result
        self._alive = {storage: size for storage, size in self._alive.items() if not storage.expired()}
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                size = leaf.numel() * leaf.dtype.itemsize
                self.work += size
                self.largest = max(self.largest, size)
                self._alive[StorageWeakRef(leaf.untyped_storage())] = size
        self.peak = max(self.peak, sum(self._alive.values()))
        return result
