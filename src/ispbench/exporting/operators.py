"""The operators of an exported file, and those that phones do not run on their accelerators.

For ONNX files, what NNAPI and Core ML take is read from the lists that ONNX Runtime brings along. For ExecuTorch,
what XNNPACK leaves to the portable kernels tells the same.
"""

import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

from ispbench.exporting.runtimes import onnxruntime
from ispbench.models.layers import LayerNorm2d

_LISTS = {"NNAPI": "nnapi_supported_ops.md", "Core ML": "coreml_supported_mlprogram_ops.md"}
_QUANTIZED = {"QuantizeLinear", "DequantizeLinear"}  # how an int8 file marks what is int8
_HALF_MAXIMUM = 65504.0
_NORMS = (LayerNorm2d, nn.LayerNorm, nn.InstanceNorm2d, nn.GroupNorm)
_REMARKS = {
    "DFT": "Fourier transform",
    "GridSample": "grid sampling",
    "Einsum": "Einstein sum",
    "aten::fft_rfft2": "Fourier transform",
    "aten::fft_fft2": "Fourier transform",
    "aten::grid_sampler": "grid sampling",
}


def onnx_operators(path: Path) -> dict[str, int]:
    """How often each operator stands in an ONNX file."""
    import onnx

    graph = onnx.load(str(path), load_external_data=False).graph
    return dict(Counter(node.op_type for node in graph.node).most_common())


def torchscript_operators(path: Path) -> dict[str, int]:
    """How often each ATen operator stands in a TorchScript file."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated
        graph = torch.jit.load(str(path), map_location="cpu").inlined_graph
    kinds = (node.kind() for node in graph.nodes())
    return dict(Counter(kind for kind in kinds if kind.startswith("aten::")).most_common())


def flags(path: Path, operators: Mapping[str, int]) -> list[str]:
    """What phones will not run on their accelerators.

    Args:
        path: The exported file.
        operators: Of it.
    """
    found = [f"{name}: {remark}" for name, remark in _REMARKS.items() if name in operators]
    if path.suffix == ".onnx":
        for runtime, taken in mobile_operators().items():
            if absent := [name for name in operators if name not in taken and name not in _QUANTIZED]:
                found.append(f"not in ONNX Runtime's list for {runtime}: {', '.join(sorted(absent))}")
        if ranks := _permuted_ranks(path):
            found.append(f"{sum(ranks.values())} transpositions of more than four dimensions")
    elif path.suffix == ".pte" and (left := [name for name in operators if name != "XNNPACK"]):
        found.append(f"left to portable kernels by XNNPACK: {', '.join(sorted(left))}")
    return found


@cache
def mobile_operators() -> dict[str, frozenset[str]]:
    """The ONNX operators that ONNX Runtime hands to each mobile accelerator."""
    folder = Path(onnxruntime().__file__).parent / "tools" / "mobile_helpers"
    listed = {name: (folder / file).read_text() for name, file in _LISTS.items()}
    return {name: frozenset(re.findall(r"^\|ai\.onnx:(\w+)", text, re.MULTILINE)) for name, text in listed.items()}


def half_precision_flags(model: nn.Module, raw: Tensor) -> list[str]:
    """Where float16 will not hold what an image makes in a network that runs in float32.

    Args:
        model: In ``eval()``.
        raw: Its input.
    """
    squares: dict[str, float] = {}
    outputs: dict[str, float] = {}

    def watch(name: str, module: nn.Module) -> torch.utils.hooks.RemovableHandle:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if isinstance(module, _NORMS):
                squares[name] = _largest_sum_of_squares(module, inputs[0])
            elif isinstance(output, Tensor) and output.is_floating_point():
                outputs[name] = float(output.abs().max())

        return module.register_forward_hook(hook)

    handles = [
        watch(name, module)
        for name, module in model.named_modules()
        if isinstance(module, _NORMS) or not list(module.children())
    ]
    try:
        with torch.inference_mode():
            model(raw)
    finally:
        for handle in handles:
            handle.remove()
    found = []
    for kind, values in (("a norm sums squares to", squares), ("an output reaches", outputs)):
        beyond = {name: value for name, value in values.items() if not value <= _HALF_MAXIMUM}
        if beyond:
            name = max(beyond, key=lambda key: beyond[key])
            found.append(
                f"float16 overflows in {len(beyond)} layers: {kind} {beyond[name]:.3g} in {name}, more than "
                f"{_HALF_MAXIMUM:g}"
            )
    return found


def _largest_sum_of_squares(module: nn.Module, x: Tensor) -> float:
    """The largest sum that the variance of a norm adds up."""
    dims: tuple[int, ...]
    if isinstance(module, LayerNorm2d):
        dims = (1,)
    elif isinstance(module, nn.LayerNorm):
        dims = tuple(range(-len(module.normalized_shape), 0))
    else:
        groups = module.num_groups if isinstance(module, nn.GroupNorm) else x.shape[1]
        x, dims = x.reshape(len(x), groups, -1), (2,)
    x = x.float()
    return float((x - x.mean(dims, keepdim=True)).square().sum(dims).max())


def _permuted_ranks(path: Path) -> Counter[int]:
    import onnx

    nodes = onnx.load(str(path), load_external_data=False).graph.node
    ranks = (len(item.ints) for node in nodes if node.op_type == "Transpose" for item in node.attribute)
    return Counter(rank for rank in ranks if rank > 4)
