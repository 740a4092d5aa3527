"""What is to be exported, and how it is checked."""

from dataclasses import dataclass

from ispbench.errors import UserError
from ispbench.exporting import gate
from ispbench.exporting.onnx_files import OPSET, QUANTIZED


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
