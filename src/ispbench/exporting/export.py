"""A model written to a file, compared with PyTorch, and described by a JSON beside the file."""

import contextlib
import datetime
import importlib.metadata
import json
import math
import platform
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import ispbench
from ispbench.data.datamodule import PairedDataModule
from ispbench.errors import UserError
from ispbench.evaluation.deploy import merge_branches
from ispbench.exporting import calibration, gate, operators
from ispbench.exporting.calibration import Calibration
from ispbench.exporting.graph import Graph, check_size, divisor, fitting_size, knows_levels
from ispbench.exporting.onnx_files import OPSET, QUANTIZED, halve, quantize, write_onnx
from ispbench.exporting.runtimes import SUFFIXES, open_file
from ispbench.exporting.torch_files import write_executorch, write_torchscript
from ispbench.exporting.windows import render_in_windows, render_whole
from ispbench.files import hash_file, write_atomically
from ispbench.models.interface import ISPModel
from ispbench.protocols.base import Protocol

PRECISIONS = tuple(gate.TOLERANCES)


@dataclass(frozen=True)
class Request:
    """What is to be exported, and how it is checked.

    Attributes:
        format: onnx, torchscript or executorch.
        precision: fp32, fp16 or int8; int8 for ONNX alone.
        height: Of the Bayer image.
        width: Of the Bayer image.
        dynamic: Whether other sizes are to work as well.
        levels_inside: Whether the file takes DN; else canonical RAW.
        opset: Of an ONNX file.
        images: Test images of the comparison; None for all.
        calibration: Training images that int8 is calibrated on.
        seed: Decides which.
        operators: What int8 quantizes.
        keep: Whether a file that fails the comparison stays.
    """

    format: str = "onnx"
    precision: str = "fp32"
    height: int = 448
    width: int = 448
    dynamic: bool = False
    levels_inside: bool = False
    opset: int = OPSET
    images: int | None = 8
    calibration: int = 32
    seed: int = 0
    operators: tuple[str, ...] = QUANTIZED
    keep: bool = False

    def __post_init__(self) -> None:
        if self.precision == "int8" and self.format != "onnx":
            raise UserError(f"int8 is quantized by ONNX Runtime; set format=onnx instead of {self.format}.")

    @property
    def name(self) -> str:
        """Of a file, after the model's name and before the suffix."""
        size = "dynamic" if self.dynamic else f"{self.height}x{self.width}"
        return f"{size}-{self.precision}"

    @property
    def tolerance(self) -> gate.Tolerance:
        """What the comparison allows."""
        return gate.TOLERANCES[self.precision]


class OutOfToleranceError(UserError):
    """An exported file that is not the same network any more."""


def export(
    model: ISPModel,
    data: PairedDataModule,
    protocol: Protocol,
    request: Request,
    path: Path,
    about: dict[str, Any] | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Exports a model, and leaves the file only if it is within tolerance, or if it is to be kept all the same.

    The model's branches are merged, and it gets the levels of the dataset.

    Args:
        model: With its weights, in ``eval()``, on the CPU.
        data: Test images of the comparison; for int8, training images too.
        protocol: What is scored before and after.
        request: What is exported.
        path: Of the file; the description gets its name with ``.json``.
        about: What else the description says of the model, such as its weights.
        progress: Whether progress bars are shown.

    Returns:
        The description.

    Raises:
        OutOfToleranceError: for a file that fails the comparison.
        UserError: for a size that does not fit the network, or a network that the format cannot express.
    """
    model.set_levels(data.black_level, data.white_level)
    merged = merge_branches(model)
    check_size(model, request.height, request.width)
    half = request.precision == "fp16"
    graph = Graph(model, request.levels_inside, half=half and request.format != "onnx")
    reference = Graph(model, request.levels_inside)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=path.parent) as folder:
        scratch = Path(folder) / path.name
        with _failures_told(model, request):
            counts, drawn = _write(graph, data, request, scratch)
            run = as_torch(open_file(scratch))
            tested = _try_sizes(run, reference, request)
        comparison = gate.compare(
            _renderer(reference, model, request),
            _renderer(run, model, request),
            data,
            protocol,
            request.tolerance,
            request.images,
            progress,
        )
        found = operators.flags(scratch, counts)
        if half:
            found += _half_flags(reference, data, request)
        description = {
            "file": path.name,
            "sha256": hash_file(scratch),
            "bytes": scratch.stat().st_size,
            "format": request.format,
            "precision": request.precision,
            **(about or {}),
            "merged_branches": merged,
            "input": _describe_input(model, request),
            "output": {
                "name": "srgb",
                "dtype": "float32",
                "shape": [1, 3, "2 h", "2 w"],
                "planes": ["R", "G", "B"],
                "range": [0, 1],
            },
            "size": {
                "dynamic": request.dynamic,
                "height": request.height,
                "width": request.width,
                "divisor": divisor(model),
                "minimum": 2 * model.minimum,
                "tested": tested,
            },
            "padding": "none inside: pad right and bottom by repeating the edge, crop the image",
            "opset": request.opset if request.format == "onnx" else None,
            "operators": counts,
            "flags": found,
            "calibration": drawn.about() | {"operators": list(request.operators)} if drawn else None,
            "comparison": comparison.about(),
            "versions": _versions(request.format),
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
        if comparison.failures and not request.keep:
            raise OutOfToleranceError(
                f"{path.name} is not the same network: {'; '.join(comparison.failures)}. Nothing is left; keep=true "
                "keeps the file all the same."
            )
        scratch.replace(path)
    content = json.dumps(_finite(description), indent=1) + "\n"
    write_atomically(path.with_suffix(".json"), content, "choose another output=FILE")
    return description


def as_torch(run: Callable[[Any], Any]) -> gate.Renderer:
    """A runtime's function on tensors."""
    return lambda raw: torch.from_numpy(run(raw.numpy()))


def _write(
    graph: Graph, data: PairedDataModule, request: Request, path: Path
) -> tuple[dict[str, int], Calibration | None]:
    """Writes the file; returns its operators, and what int8 was calibrated on."""
    raw = graph.example(request.height, request.width)
    if request.format == "executorch":
        return write_executorch(graph, raw, path, request.dynamic), None
    if request.format == "torchscript":
        write_torchscript(graph, raw, path)
        return operators.torchscript_operators(path), None
    write_onnx(graph, raw, path, request.dynamic, request.opset)
    drawn = None
    if request.precision == "fp16":
        halve(path)
    elif request.precision == "int8":
        drawn = calibration.draw(
            data, request.calibration, request.height, request.width, request.seed, request.levels_inside
        )
        quantize(path, drawn.images, request.operators)
    return operators.onnx_operators(path), drawn


@contextlib.contextmanager
def _failures_told(model: ISPModel, request: Request) -> Iterator[None]:
    """Turns what an exporter or a runtime cannot do into a sentence."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # whatever exporters and runtimes raise
        while error.__cause__ is not None:
            error = error.__cause__  # type: ignore[assignment]
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        size = "any size" if request.dynamic else f"{request.height}x{request.width}"
        advice = " A static size may work: dynamic=false." if request.dynamic else ""
        raise UserError(
            f"{type(model).__name__} cannot be exported as {request.format} in {request.precision} for {size}: "
            f"{reason}.{advice}"
        ) from error


def _try_sizes(run: gate.Renderer, reference: Graph, request: Request) -> list[list[int]]:
    """Runs the file at its size, and a dynamic one at another; returns the sizes.

    Raises:
        ValueError: if the image has another shape, or at the other size another content.
    """
    step = divisor(reference.model)
    sizes = [[request.height, request.width]]
    if request.dynamic:
        sizes.append([request.height + step, request.width + 3 * step])
    for height, width in sizes:
        raw = reference.example(height, width)
        with torch.inference_mode():
            wanted, got = reference(raw), run(raw)
        if got.shape != wanted.shape:
            raise ValueError(f"at {height}x{width} the image has the shape {tuple(got.shape)}")
        if request.precision == "fp32" and not (error := float((got - wanted).abs().max())) <= 0.02:
            raise ValueError(f"at {height}x{width} the image differs by {error:.2g}")
    return sizes


def _renderer(function: gate.Renderer, model: ISPModel, request: Request) -> gate.Renderer:
    """From canonical RAW of any size to sRGB, the same way for PyTorch and for the file."""
    black, white = model.black_level, model.white_level

    def one(raw: Tensor) -> Tensor:
        return function(raw * (white - black) + black if request.levels_inside else raw)

    if request.dynamic:
        return lambda raw: render_whole(one, raw, lambda height, width: fitting_size(model, height, width))
    return lambda raw: render_in_windows(one, raw, request.height, request.width)


def _half_flags(reference: Graph, data: PairedDataModule, request: Request) -> list[str]:
    """Where float16 overflows on the first test image."""
    batch = data.to_canonical(next(iter(data.evaluation_loader("test", limit=1))))
    found: list[str] = []

    def watch(raw: Tensor) -> Tensor:
        found[:] = operators.half_precision_flags(reference, raw)
        return reference(raw)

    with torch.inference_mode():
        _renderer(watch, reference.model, request)(batch["raw"][:1])
    return found


def _describe_input(model: ISPModel, request: Request) -> dict[str, Any]:
    black, white = model.black_level, model.white_level
    if request.levels_inside:
        scale = "DN as the sensor gives them, float32; black and white level are subtracted inside"
    else:
        scale = "(DN - black_level) / (white_level - black_level): 0 at black, 1 at white, nothing clipped"
    return {
        "name": "raw",
        "dtype": "float32",
        "shape": [1, 4, "h", "w"] if request.dynamic else [1, 4, request.height // 2, request.width // 2],
        "cfa": "RGGB",
        "planes": ["R", "Gr", "Gb", "B"],
        "range": scale,
        "levels": "inside" if request.levels_inside else "outside",
        "black_level": black,
        "white_level": white,
        "levels_are_constants": request.levels_inside or knows_levels(model),
    }


def _versions(format: str) -> dict[str, str]:
    packages = {"onnx": ["onnx", "onnxscript", "onnxruntime"], "executorch": ["executorch"]}.get(format, [])
    found = {"ispbench": ispbench.__version__, "python": platform.python_version(), "torch": torch.__version__}
    return found | {name: importlib.metadata.version(name) for name in packages}


def _finite(value: Any) -> Any:
    """The same without NaN and infinity, which JSON lacks."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
