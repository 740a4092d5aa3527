"""LiteISPNet's joint training: every step aligns its targets by a color mapping that learns along.

Reference: Z. Zhang et al., "Learning RAW-to-sRGB Mappings with Inaccurately Aligned Supervision", ICCV 2021,
arXiv:2108.08119. Theirs finds the flow by PWC-Net, this by RAFT or DIS.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispbench.models.coordinates import coordinate_grid
from ispbench.protocols.flow import FlowEstimator, warp
from ispbench.protocols.gcm import GCM
from ispbench.raw.demosaic import bilinear


class JointAlignment(nn.Module):
    """Aligns the targets of a batch, and says how well its color mapping recolors the RAW.

    Args:
        flow: The flow estimator; no gradient flows through it.
        weight: Of the color mapping's own loss.
    """

    def __init__(self, flow: FlowEstimator, weight: float = 1.0) -> None:
        super().__init__()
        self.gcm = GCM()
        self.weight = weight
        self._flow = (flow,)  # in a tuple, so that the weights of RAFT are not saved with the network

    def forward(self, raw: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Aligns.

        Args:
            raw: Canonical packed RAW, shape (N, 4, h, w).
            target: sRGB in [0, 1], shape (N, 3, 2h, 2w).

        Returns:
            The targets warped to the RAW, of the same shape; their valid pixels, shape (N, 1, 2h, 2w), 0 or 1; and the
            weighted L1 distance between them and the recolored RAW, over valid pixels.
        """
        demosaiced = bilinear(raw).clamp_min(1e-6)  # the derivative of the gamma is infinite at 0
        recolored = self.gcm(demosaiced, target, coordinate_grid(demosaiced))
        with torch.no_grad():
            images = recolored.detach().float().clamp(0, 1)
            pairs = [warp(one, self._flow[0](image, one)) for image, one in zip(images, target, strict=True)]
            warped, mask = (torch.stack(part) for part in zip(*pairs, strict=True))
        return warped, mask, self.weight * F.l1_loss(recolored * mask, warped * mask)
