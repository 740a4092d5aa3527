"""Exported files as functions from packed RAW to sRGB. Nothing here needs torch unless the format does."""

import os
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ispbench.errors import UserError

Array = NDArray[np.float32]
Runner = Callable[[Array], Array]

SUFFIXES = {"onnx": ".onnx", "torchscript": ".pt", "executorch": ".pte"}


def open_file(path: Path, threads: int = 0) -> Runner:
    """Loads an exported file into the CPU runtime of its format.

    Args:
        path: Its suffix tells the format.
        threads: Within an operation; 0 for the runtime's own choice.

    Returns:
        A function from float32 packed RAW, shape (1, 4, h, w), to sRGB, shape (1, 3, 2h, 2w).

    Raises:
        UserError: for another suffix, or a runtime that is not installed.
    """
    openers = {".onnx": _open_onnx, ".pt": _open_torchscript, ".pte": _open_executorch}
    if path.suffix not in openers:
        raise UserError(f"{path} does not end in {', '.join(openers)}, the formats that are run here.")
    return openers[path.suffix](path, threads)


def import_runtime(kind: str) -> None:
    """Imports what a kind of file, or PyTorch itself, is run by."""
    if kind == "onnx":
        onnxruntime()
        return
    import torch  # noqa: F401

    if kind == "executorch":
        portable_lib()


def threads_of(kind: str, threads: int) -> int:
    """How many threads a runtime uses if it is asked for some number of them; 0 asks for its own choice."""
    if threads:
        return threads
    if kind == "executorch":
        return int(portable_lib()._threadpool_get_thread_count())
    if kind == "onnx":
        return physical_cores()
    import torch

    return torch.get_num_threads()


def physical_cores() -> int:
    """What ONNX Runtime takes a thread each of."""
    import psutil

    return psutil.cpu_count(logical=False) or os.cpu_count() or 1


def onnxruntime() -> Any:
    """The package of ONNX Runtime.

    Raises:
        UserError: if it is not installed.
    """
    return _imported("onnxruntime", "onnx", "export")


def portable_lib() -> Any:
    """ExecuTorch's CPU runtime.

    Raises:
        UserError: if it is not installed.
    """
    return _imported("executorch.extension.pybindings.portable_lib", "executorch", "executorch")


def _imported(module: str, format: str, extra: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise missing(format, extra) from error


def missing(format: str, extra: str) -> UserError:
    """What to say where a format's packages are not installed."""
    return UserError(f'The format {format} needs packages that are missing: pip install "ispbench[{extra}]".')


def _open_onnx(path: Path, threads: int) -> Runner:
    runtime = onnxruntime()
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # what fails is raised anyway
    options.intra_op_num_threads = threads
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda raw: session.run(None, {name: raw})[0]


def _open_torchscript(path: Path, threads: int) -> Runner:
    import torch

    if threads:
        torch.set_num_threads(threads)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated
        module = torch.jit.load(str(path), map_location="cpu").eval()

    def run(raw: Array) -> Array:
        with torch.inference_mode():
            return module(torch.from_numpy(raw)).numpy()

    return run


def _open_executorch(path: Path, threads: int) -> Runner:
    library = portable_lib()
    import torch

    if threads:
        library._unsafe_reset_threadpool(threads)
    module = library._load_for_executorch(str(path))
    return lambda raw: module.forward([torch.from_numpy(raw)])[0].numpy()
