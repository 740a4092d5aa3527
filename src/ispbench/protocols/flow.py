"""Optical flow estimators, and warping an image along a flow."""

import hashlib
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ispbench.errors import UserError

_INSIDE = 0.999  # share of a pixel's weight that must come from inside the frame


class FlowEstimator(Protocol):
    """Finds where the pixels of one image lie in another.

    Attributes:
        name: Its part of a protocol's name.
    """

    name: str

    def __call__(self, image: Tensor, other: Tensor) -> Tensor:
        """The flow from `image` to `other`: ``image(p)`` shows what ``other(p + flow(p))`` shows.

        Args:
            image: sRGB in [0, 1], shape (3, H, W).
            other: Of the same shape.

        Returns:
            Shape (2, H, W), x before y, in pixels.
        """
        ...


class DIS:
    """Dense inverse search on the gray images, of OpenCV; needs no weights.

    Reference: Kroeger et al., "Fast optical flow using dense inverse search", ECCV 2016, arXiv:1603.03590.

    Args:
        preset: ultrafast, fast or medium.
    """

    def __init__(self, preset: str = "medium") -> None:
        presets = {
            "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
            "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
            "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
        }
        if preset not in presets:
            raise UserError(f"protocol.flow.preset is one of {', '.join(presets)}, not {preset!r}.")
        self.name = "dis" if preset == "medium" else f"dis-{preset}"
        self._search = cv2.DISOpticalFlow.create(presets[preset])

    def __call__(self, image: Tensor, other: Tensor) -> Tensor:
        """See `FlowEstimator`."""
        if min(image.shape[-2:]) < 16:
            raise UserError(f"DIS flow needs images of at least 16x16 pixels, not {tuple(image.shape[-2:])}.")
        flow = self._search.calc(_gray(image), _gray(other), np.zeros((*image.shape[-2:], 2), np.float32))
        return torch.from_numpy(flow).permute(2, 0, 1).to(image.device)


class RAFT:
    """Recurrent all-pairs field transforms, of torchvision.

    Reference: Teed and Deng, ECCV 2020, arXiv:2003.12039.

    Args:
        size: large or small.
        weights: A file of torchvision's weights of that size; null for torchvision's own, downloaded once.
    """

    _MULTIPLE, _MINIMUM = 8, 128

    def __init__(self, size: str = "large", weights: str | None = None) -> None:
        from torchvision.models import optical_flow

        from ispbench.checkpoints import load_strictly, read_state_dict

        if size not in ("large", "small"):
            raise UserError(f"protocol.flow.size is large or small, not {size!r}.")
        self.name = f"raft-{size}"
        self._network = getattr(optical_flow, f"raft_{size}")(weights=None)
        if weights is not None:
            state = read_state_dict(weights)
            self.name += f"-{short_hash(Path(weights))}"
        else:
            state = _download(size)
        load_strictly(self._network, state, f"{weights or 'The download'} is not a checkpoint of RAFT {size}")
        self._network.eval().requires_grad_(False)

    @torch.no_grad()
    def __call__(self, image: Tensor, other: Tensor) -> Tensor:
        """See `FlowEstimator`."""
        height, width = image.shape[-2:]
        bottom, right = (max(self._MINIMUM - side, -side % self._MULTIPLE, 0) for side in (height, width))
        both = torch.stack((image, other)).float() * 2 - 1
        both = F.pad(both, (0, right, 0, bottom), mode="replicate")
        flow = self._network.to(image.device)(both[:1], both[1:])[-1]
        return flow[0, :, :height, :width]


def warp(image: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """Fetches each pixel from where a flow points, bilinearly.

    Args:
        image: Shape (C, H, W).
        flow: Shape (2, H, W), x before y, in pixels.

    Returns:
        The warped image, shape (C, H, W), and the pixels that came from inside the frame, shape (1, H, W), 0 or 1.
    """
    height, width = image.shape[-2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=flow.device), torch.arange(width, device=flow.device), indexing="ij"
    )
    places = torch.stack(((2 * (x + flow[0]) + 1) / width - 1, (2 * (y + flow[1]) + 1) / height - 1), dim=-1)
    layers = torch.cat((image, torch.ones_like(image[:1])))[None].float()
    fetched = F.grid_sample(layers, places[None].float(), mode="bilinear", align_corners=False)[0]
    return fetched[:-1], (fetched[-1:] > _INSIDE).float()


def consistent(forward: Tensor, backward: Tensor, tolerance: float) -> Tensor:
    """Where the flow back returns to the point that the flow came from.

    Args:
        forward: From one image to the other, shape (2, H, W), in pixels.
        backward: From the other to the first, of the same shape.
        tolerance: How far in pixels it may miss that point.

    Returns:
        Shape (1, H, W), 0 or 1.
    """
    back, inside = warp(backward, forward)
    missed = (forward + back).square().sum(0, keepdim=True).sqrt()
    return inside * (missed <= tolerance).float()


def short_hash(path: Path) -> str:
    """The first digits of a file's SHA-256, to name user weights by."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:8]


def _gray(image: Tensor) -> np.ndarray:
    pixels = image.detach().clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).cpu().numpy()
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)


def _download(size: str) -> dict[str, Tensor]:
    from torchvision.models import optical_flow

    try:
        return getattr(optical_flow, f"Raft_{size.title()}_Weights").DEFAULT.get_state_dict(progress=True)
    except Exception as error:  # urllib, ssl and hub each raise their own
        raise UserError(
            f"The weights of RAFT {size} could not be downloaded ({error}); give a file: protocol.flow.weights=FILE, "
            "or use protocol/flow=dis, which needs none."
        ) from error
