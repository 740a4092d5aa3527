"""A model written to a file, compared with PyTorch, and described by a JSON beside the file."""

import contextlib
import datetime
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ispbench.data.datamodule import PairedDataModule
from ispbench.errors import UserError, first_line
from ispbench.evaluation.deploy import merge_branches
from ispbench.exporting import calibration, gate, operators
from ispbench.exporting.calibration import Calibration
from ispbench.exporting.description import describe_use, finite, versions
from ispbench.exporting.graph import Graph, check_size, divisor, fitting_size
from ispbench.exporting.onnx_files import halve, quantize, write_onnx
from ispbench.exporting.request import Request
from ispbench.exporting.runtimes import open_file
from ispbench.exporting.torch_files import write_executorch, write_torchscript
from ispbench.exporting.windows import render_in_windows, render_whole
from ispbench.files import hash_file, write_atomically
from ispbench.models.interface import ISPModel
from ispbench.protocols.base import Protocol


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
            "hash": hash_file(scratch),
            "bytes": scratch.stat().st_size,
            "format": request.format,
            "precision": request.precision,
            **(about or {}),
            "merged_branches": merged,
            **describe_use(model, request, tested),
            "operators": counts,
            "flags": found,
            "calibration": drawn.about() | {"operators": list(request.operators)} if drawn else None,
            "comparison": comparison.about(),
            "versions": versions(request.format),
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
        if comparison.failures and not request.keep:
            raise OutOfToleranceError(
                f"{path.name} is not the same network: {'; '.join(comparison.failures)}. Nothing is left; keep=true "
                "keeps the file all the same."
            )
        scratch.replace(path)
    content = json.dumps(finite(description), indent=1) + "\n"
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
        size = "any size" if request.dynamic else f"{request.height}x{request.width}"
        advice = " A static size may work: dynamic=false." if request.dynamic else ""
        raise UserError(
            f"{type(model).__name__} cannot be exported as {request.format} in {request.precision} for {size}: "
            f"{first_line(error)}.{advice}"
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
