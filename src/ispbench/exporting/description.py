"""How an exported file is fed, for the JSON beside it."""

import importlib.metadata
import math
import platform
from typing import Any

import torch

import ispbench
from ispbench.exporting.graph import divisor, knows_levels
from ispbench.exporting.request import Request
from ispbench.models.interface import ISPModel


def describe_use(model: ISPModel, request: Request, tested: list[list[int]]) -> dict[str, Any]:
    """Input, output, sizes and padding of a file.

    Args:
        model: With the levels of its sensor.
        request: What was exported.
        tested: The sizes that the file was run at, height and width each.
    """
    return {
        "input": _input(model, request),
        "output": {
            "name": "srgb",
            "dtype": "float32",
            "shape": [1, 3, "2 h", "2 w"] if request.dynamic else [1, 3, request.height, request.width],
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
    }


def _input(model: ISPModel, request: Request) -> dict[str, Any]:
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


def versions(format: str) -> dict[str, str]:
    """The versions of what wrote a file, and of what ran it."""
    packages = {"onnx": ["onnx", "onnxscript", "onnxruntime"], "executorch": ["executorch"]}.get(format, [])
    found = {"ispbench": ispbench.__version__, "python": platform.python_version(), "torch": torch.__version__}
    return found | {name: importlib.metadata.version(name) for name in packages}


def finite(value: Any) -> Any:
    """The same without NaN and infinity, which JSON lacks."""
    if isinstance(value, dict):
        return {name: finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [finite(part) for part in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
