"""Export a network for ONNX Runtime, TorchScript or ExecuTorch, and check that it still is the same network.

A run folder brings its data and protocol; for other weights, say them. The file is run on test images and compared with
PyTorch: what is beyond tolerance leaves no file and a non-zero exit, unless keep=true. A JSON beside the file says how
to feed it. int8 is calibrated on images of the training split.

  ispbench export weights=RUN                                      # exports/metaisp-448x448-fp32.onnx
  ispbench export weights=RUN precision=int8 size=1088x1920
  ispbench export weights=RUN format=executorch dynamic=true
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ispbench.cli.arguments import overrides, setting
from ispbench.console import say, table, warn
from ispbench.evaluation.sizes import parse_size


@dataclass
class Settings:
    """What the verb takes."""

    weights: str | None = setting(
        None, "a run folder, a checkpoint, or the authors' file (default: fresh ones of model=NAME)", metavar="PATH"
    )
    format: str = setting("onnx", "of the file", choices=("onnx", "torchscript", "executorch"))
    precision: str = setting("fp32", "int8 for onnx alone", choices=("fp32", "fp16", "int8"))
    size: str = setting("448x448", "Bayer image that the file takes", metavar="HEIGHTxWIDTH")
    dynamic: bool = setting(False, "take other sizes as well")
    levels: str = setting("outside", "where black and white level are applied", choices=("outside", "inside"))
    opset: int = setting(20, "of an ONNX file", at_least=18)
    images: int = setting(8, "test images of the comparison; 0: all", at_least=0)
    calibration: int = setting(32, "training images that int8 is calibrated on", at_least=1)
    keep: bool = setting(False, "keep a file that is out of tolerance")
    output: Path | None = setting(None, "the file (default: exports/MODEL-SIZE-PRECISION.SUFFIX)", metavar="FILE")
    overwrite: bool = setting(False, "replace a file that exists")
    overrides: list[str] = overrides("model= data= protocol=, and any key, such as data.root=FOLDER seed=1")


def run(settings: Settings) -> None:
    """Exports, and prints the comparison.

    Raises:
        UserError: for what cannot be exported, and for a file that is out of tolerance.
    """
    height, width = parse_size(settings.size)
    from ispbench.exporting.configured import export_configured
    from ispbench.exporting.request import Request

    request = Request(
        format=settings.format,
        precision=settings.precision,
        height=height,
        width=width,
        dynamic=settings.dynamic,
        levels_inside=settings.levels == "inside",
        opset=settings.opset,
        images=settings.images or None,
        calibration=settings.calibration,
        keep=settings.keep,
    )
    description, path = export_configured(
        settings.weights, settings.overrides, request, settings.output, settings.overwrite
    )
    _print(description, path)


def _print(description: Mapping[str, Any], path: Path) -> None:
    found = description["comparison"]
    before, after = found["before"], found["after"]
    table(
        ["", "PSNR", "SSIM", "CIEDE2000"],
        [
            (name, f"{scores['psnr']:.3f}", f"{scores['ssim']:.4f}", f"{scores['ciede2000']:.3f}")
            for name, scores in (("PyTorch", before), (path.name, after))
        ],
        title=f"{found['protocol']}, {len(found['images'])} test images",
        caption=f"The file and PyTorch differ by {found['max_error']:.2g} at most; PSNR {found['psnr']:.1f} dB.",
    )
    for flag in description["flags"]:
        say(f"phones: {flag}")
    for failure in found["failures"]:
        warn(f"kept all the same: {failure}")
    say(f"wrote {path} ({description['bytes'] / 2**20:.2f} MiB) and {path.with_suffix('.json').name}")
