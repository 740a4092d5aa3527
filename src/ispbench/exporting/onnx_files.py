"""Networks as ONNX files: written from PyTorch, turned to half precision, quantized."""

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ispbench.exporting.graph import Graph
from ispbench.exporting.runtimes import missing, onnxruntime
from ispbench.exporting.torch_files import dynamic_shapes

OPSET = 20  # the first with Gelu and with DFT along any axis
INPUT, OUTPUT = "raw", "srgb"
# Fourier transforms, and what combines their parts, are beyond the range of float16.
_KEPT_WHOLE = ("DFT", "Atan", "ReduceL2", "ReduceSumSquare")
# What int8 arithmetic pays for; the rest stays float32, so that norms and gates keep their precision.
QUANTIZED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def write_onnx(graph: Graph, raw: Tensor, path: Path, dynamic: bool, opset: int = OPSET) -> None:
    """Exports a graph by ``torch.export``.

    Args:
        graph: What is exported.
        raw: An input.
        path: Of the file, which holds the weights too.
        dynamic: Whether height and width may differ from those of `raw`.
        opset: Of the file.

    Raises:
        UserError: if ONNX is not installed.
    """
    onnx = _onnx()
    with torch.no_grad(), _quiet():
        program = torch.onnx.export(
            graph,
            (raw,),
            dynamo=True,
            opset_version=opset,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=dynamic_shapes(graph) if dynamic else None,
            custom_translation_table={torch.ops.aten.atan2.default: _atan2},
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    if dynamic and any(node.op_type == "DFT" for node in model.graph.node):
        del model.graph.value_info[:]  # they give half spectra the full width, and ONNX Runtime trusts them
    onnx.save(model, str(path))


def halve(path: Path) -> None:
    """Turns weights and activations of a file into float16; input and output stay float32."""
    from onnxruntime.transformers import float16

    onnx = _onnx()
    blocked = [*float16.DEFAULT_OP_BLOCK_LIST, *_KEPT_WHOLE]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # weights below the smallest float16 become 0
        half = float16.convert_float_to_float16(onnx.load(str(path)), keep_io_types=True, op_block_list=blocked)
    onnx.save(half, str(path))


def quantize(path: Path, images: Sequence[NDArray[np.float32]], operators: Sequence[str] = QUANTIZED) -> None:
    """Quantizes a file to int8 with the ranges that calibration images reach.

    The file gets QuantizeLinear and DequantizeLinear around each quantized operator (QDQ), with symmetric weights, a
    scale for each output channel, and asymmetric activations.

    Args:
        path: Of the file.
        images: Inputs of the network, shape (1, 4, h, w).
        operators: Which are quantized.
    """
    onnxruntime()
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(images)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            image = next(self.left, None)
            return None if image is None else {INPUT: image}

    with tempfile.TemporaryDirectory() as folder, _quiet():
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
        quantization.quantize_static(
            str(prepared),
            str(path),
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=list(operators),
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.MinMax,
        )


def _onnx() -> Any:
    try:
        import onnx
        import onnxscript  # noqa: F401  torch.onnx writes through it
    except ImportError as error:
        raise missing("onnx", "export") from error
    return onnx


def _atan2(y: Any, x: Any) -> Any:
    """The angle of a point, in (-pi, pi]; PyTorch's own translation takes the negative real axis for -pi."""
    from onnxscript import opset18

    op: Any = opset18
    angle = op.Atan(op.Div(y, x))
    pi = op.CastLike(op.Constant(value_float=float(np.pi)), x)
    zero = op.CastLike(op.Constant(value_float=0.0), x)
    turned = op.Where(op.Less(y, zero), op.Sub(angle, pi), op.Add(angle, pi))
    whole = op.Where(op.Less(x, zero), turned, angle)
    return op.Where(op.IsNaN(whole), zero, whole)  # 0 / 0


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the exporter's progress and advice off the terminal; what fails is raised all the same."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
