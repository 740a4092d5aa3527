"""Networks as TorchScript (``.pt``) and ExecuTorch (``.pte``) files."""

import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ispbench.exporting.graph import Graph, divisor
from ispbench.exporting.runtimes import missing

LARGEST_SIDE = 2048  # Bayer pixels; a dynamic ExecuTorch program plans its memory for the largest input


def write_torchscript(graph: Graph, raw: Tensor, path: Path) -> None:
    """Traces a graph at an input; whether other sizes work, the comparison tells.

    Args:
        graph: What is exported.
        raw: An input.
        path: Of the file.
    """
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # deprecated, and every shape that becomes a constant
        traced = torch.jit.freeze(torch.jit.trace(graph, (raw,), check_trace=False))
        torch.jit.save(traced, str(path))


def write_executorch(
    graph: Graph, raw: Tensor, path: Path, dynamic: bool, largest: int = LARGEST_SIDE
) -> dict[str, int]:
    """Lowers a graph to ExecuTorch, with XNNPACK for what that takes.

    Args:
        graph: What is exported.
        raw: An input.
        path: Of the file.
        dynamic: Whether height and width may differ from those of `raw`.
        largest: The largest side of a Bayer image, if `dynamic`.

    Returns:
        How often each operator is left to ExecuTorch's portable kernels, and how many parts XNNPACK runs, as
        ``XNNPACK``.

    Raises:
        UserError: if ExecuTorch is not installed.
    """
    try:
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower
    except ImportError as error:
        raise missing("executorch", "executorch") from error
    shapes = dynamic_shapes(graph, largest // 2) if dynamic else None
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(graph, (raw,), dynamic_shapes=shapes, strict=False)
        program = program.run_decompositions({torch.ops.aten.var_mean.correction: _var_mean})
        edge = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
        calls = [node.target for node in edge.exported_program().graph.nodes if node.op == "call_function"]
        path.write_bytes(edge.to_executorch().buffer)
    return dict(Counter(filter(None, map(_operator, calls))).most_common())


def dynamic_shapes(graph: Graph, largest: int | None = None) -> dict[str, dict[int, Any]]:
    """Free packed height and width for ``torch.export``, multiples of what the network wants.

    Args:
        graph: What is exported.
        largest: The largest packed side; None for any.
    """
    step = divisor(graph.model) // 2
    least = max(-(-graph.model.minimum // step), 1 if step > 1 else 2)
    most = None if largest is None else largest // step
    sides = {
        axis: step * torch.export.Dim(name, min=least, max=most)
        if step > 1
        else torch.export.Dim(name, min=least, max=most)
        for axis, name in ((2, "height"), (3, "width"))
    }
    return {"raw": sides}


def _var_mean(x: Tensor, dim: Any = None, *, correction: float | None = None, keepdim: bool = False) -> Any:
    """``torch.var_mean`` in operators that ExecuTorch has."""
    mean = x.mean(dim, keepdim=True)
    square = (x - mean).square()
    total = square.sum(dim, keepdim=keepdim)
    count = square.numel() // total.numel()
    freedom = count - (1 if correction is None else correction)
    return total / freedom, mean if keepdim else x.mean(dim)


def _operator(target: Any) -> str:
    """The name of a lowered operator; empty for bookkeeping."""
    name = getattr(target, "__name__", str(target))
    if "call_delegate" in str(target):
        return "XNNPACK"
    return "" if name == "getitem" else name.removeprefix("aten.")
