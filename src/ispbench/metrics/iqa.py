"""Learned metrics of the ``pyiqa`` package, which the extra ``iqa`` installs: DISTS, TOPIQ, MUSIQ."""

import contextlib
import sys

from torch import Tensor, nn

from ispbench.metrics.arithmetic import deterministic
from ispbench.metrics.backbones import WeightsUnavailableError, downloads_time_out

# TOPIQ's own weights contain its backbone, which would be downloaded for nothing.
_OPTIONS = {"topiq_fr": {"backbone_pretrain": False}}


class Learned(nn.Module):
    """A network of pyiqa that scores images.

    Args:
        network: Takes images, and references if it compares, sRGB in [0, 1], shape (N, 3, H, W).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)

    def forward(self, *images: Tensor) -> Tensor:
        """The score of each image, shape (N,)."""
        with deterministic(images[0]):
            return self.network(*(value.float() for value in images)).flatten()


def learned(name: str) -> Learned:
    """Loads a metric with its published weights, from torch's hub cache or downloaded into it.

    Args:
        name: As in ``pyiqa.list_models()``.

    Raises:
        WeightsUnavailableError: if pyiqa is not installed or the weights cannot be had.
    """
    try:
        import pyiqa
    except ImportError as error:
        raise WeightsUnavailableError(f'pyiqa cannot be imported ({error}); pip install "ispbench[iqa]"') from error
    # pyiqa prints where it loads from; standard output is for results.
    with downloads_time_out(f"pyiqa cannot load {name}"), contextlib.redirect_stdout(sys.stderr):
        # Its wrapper turns on TensorFloat-32, so that only the network in it is used.
        return Learned(pyiqa.create_metric(name, device="cpu", **_OPTIONS.get(name, {})).net)
