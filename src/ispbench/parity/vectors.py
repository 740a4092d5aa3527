"""The reference vectors, reduced to what proves equality.

`index.json.gz` names every tensor of a public implementation with its shape, its parameter count and its MACs at the
size of the vector; `samples.npz` holds a strided sample of that implementation's output in ``eval()`` for the weights
and inputs that the functions here make from names alone.
"""

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

SAMPLES = 4096  # at most this many output values of a network are kept
TOLERANCE = 1e-4  # times the largest reference value, at least 1
_HAAR = np.array(
    [[0.5, 0.5, 0.5, 0.5], [0.5, 0.5, -0.5, -0.5], [0.5, -0.5, 0.5, -0.5], [0.5, -0.5, -0.5, 0.5]], np.float32
)


@dataclass(frozen=True)
class Vector:
    """The reference of one network.

    Attributes:
        key: Of the vector.
        network: Its model's name; several vectors may be of one network.
        inputs: Name and shape of each input, in the order the network takes them.
        tensors: Name and shape of each tensor of the public implementation's state dict.
        fixed: Those that are frozen Haar filters.
        recipe: How weights follow from names: ``torch``, ``strong`` or ``tf``.
        params: Parameters of the public implementation without its frozen filters.
        gmacs: Its MACs at the size of the inputs, in 1e9; None where they were not measured.
        scale: The largest absolute value of the whole reference output.
        sample: Every `stride`-th value of the reference output in C order.
        stride: See `sample`.
    """

    key: str
    network: str
    inputs: Mapping[str, Sequence[int]]
    tensors: Mapping[str, Sequence[int]]
    fixed: Sequence[str]
    recipe: str
    params: int
    gmacs: float | None
    scale: float
    sample: Array
    stride: int

    @property
    def tolerance(self) -> float:
        """The largest absolute error at which a network counts as equal."""
        return TOLERANCE * max(1.0, self.scale)

    def state_dict(self) -> dict[str, NDArray]:
        """The weights under the public implementation's names."""
        return {name: self._weight(name, tuple(shape)) for name, shape in self.tensors.items()}

    def model_inputs(self) -> list[Array]:
        """The inputs, uniform in [0, 1]."""
        return [
            _generator(f"input:{name}").random(tuple(shape), dtype=np.float32) for name, shape in self.inputs.items()
        ]

    def error(self, output: Array) -> float:
        """The largest absolute difference of an output to the sample."""
        return float(np.abs(np.asarray(output).ravel()[:: self.stride] - self.sample).max())

    def _weight(self, name: str, shape: tuple[int, ...]) -> NDArray:
        if name in self.fixed:
            return np.tile(_HAAR.reshape(4, 1, 2, 2), (shape[0] // 4, 1, 1, 1))
        z = _generator(name).standard_normal(shape)
        return _RECIPES[self.recipe](name, z)


def _generator(name: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(zlib.crc32(f"ispbench:{name}".encode())))


def _torch_weight(name: str, z: NDArray) -> NDArray:
    if name.endswith("num_batches_tracked"):
        return np.zeros(z.shape, np.int64)
    if name.endswith("running_var"):
        weight = 1 + 0.1 * np.abs(z)
    elif name.endswith("running_mean"):
        weight = 0.1 * z
    elif name.endswith("bias"):
        weight = 0.05 * z
    elif z.ndim == 1:
        weight = 0.25 + 0.05 * z if len(z) == 1 else 1 + 0.1 * z
    else:
        weight = z / np.sqrt(np.prod(z.shape[1:]))
    return weight.astype(np.float32)


def _strong_weight(name: str, z: NDArray) -> NDArray:
    """As `_torch_weight`, but for gains to which that gives values at which a network hardly depends on its input."""
    last = name.rpartition(".")[2]
    if last in ("weight1", "weight2", "beta"):
        return (1 + 0.1 * z).astype(np.float32)
    if last in ("lamb_l", "lamb_h", "inside_all", "gamma"):
        return (0.1 * z).astype(np.float32)
    return _torch_weight(name, z)


def _tf_weight(name: str, z: NDArray) -> NDArray:
    if name.endswith("alpha"):
        weight = 0.25 + 0.05 * z
    elif z.ndim == 1:
        weight = 0.05 * z
    else:
        weight = 1.5 * z / np.sqrt(np.prod(z.shape[:-1]))
    return weight.astype(np.float32)


_RECIPES = {"torch": _torch_weight, "strong": _strong_weight, "tf": _tf_weight}


@cache
def load_vectors() -> dict[str, Vector]:
    """The vectors of all networks, by key."""
    folder = files("ispbench.parity")
    index: dict[str, Any] = json.loads(gzip.decompress(folder.joinpath("index.json.gz").read_bytes()))
    with folder.joinpath("samples.npz").open("rb") as file, np.load(file) as samples:
        return {key: Vector(key=key, sample=samples[key], **entry) for key, entry in index.items()}


def reduce(key: str, entry: Mapping[str, Any], output: Array) -> tuple[dict[str, Any], Array]:
    """Reduces a full reference to its index entry and its sample.

    Args:
        key: Of the vector.
        entry: With ``inputs``, ``tensors``, ``params`` and, where they apply, ``network``, ``fixed``, ``trainable``,
            ``recipe``, ``gmacs_at_input``.
        output: The whole reference output.
    """
    stride = -(-output.size // SAMPLES)
    kept = {
        "network": entry.get("network", key),
        "inputs": entry["inputs"],
        "tensors": entry["tensors"],
        "fixed": entry.get("fixed", []),
        "recipe": entry.get("recipe", "torch"),
        "params": entry.get("trainable", entry["params"]),
        "gmacs": entry.get("gmacs_at_input"),
        "scale": float(np.abs(output).max()),
        "stride": stride,
    }
    return kept, np.ascontiguousarray(output.ravel()[::stride])
