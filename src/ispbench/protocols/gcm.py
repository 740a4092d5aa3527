"""The global color mapping (GCM): gives a RAW the colors of its target, pixel by pixel, so that flow can align them.

Reference: Z. Zhang et al., "Learning RAW-to-sRGB Mappings with Inaccurately Aligned Supervision", ICCV 2021, arXiv
2108.08119.
"""

import torch
from torch import Tensor, nn


class GCM(nn.Module):
    """Maps the colors of demosaiced RAW to those of a target by 1x1 convolutions that the target steers.

    Only a summary of the whole target enters, and each output pixel sees only its own RAW pixel besides: the result has
    the target's colors and the RAW's geometry. It needs the target, so it serves alignment and no rendering. 46,243
    parameters; modules bear the names of the authors' checkpoints, whose state dict loads as it is.

        >>> from ispbench.models.coordinates import coordinate_grid
        >>> demosaic, srgb = torch.rand(2, 1, 3, 64, 64)
        >>> GCM()(demosaic, srgb, coordinate_grid(demosaic)).shape
        torch.Size([1, 3, 64, 64])
    """

    def __init__(self) -> None:
        super().__init__()
        width, guide_width = 64, 32
        self.guide_net = nn.Sequential(
            nn.Sequential(nn.Conv2d(3 + 3 + 2, guide_width, 7, stride=2), nn.ReLU(inplace=True)),
            nn.Sequential(
                nn.Conv2d(guide_width, guide_width, 3, padding=1),
                nn.ReLU(inplace=True),
                nn.Conv2d(guide_width, guide_width, 3, padding=1),
            ),
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(guide_width, width, 1),
        )
        self.align_head = nn.Sequential(nn.Conv2d(3 + 2, width, 1), nn.ReLU(inplace=True))
        self.align_base = nn.Sequential(
            nn.Conv2d(width, width, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 1),
            nn.ReLU(inplace=True),
        )
        self.align_tail = nn.Conv2d(width, 3, 1)

    def forward(self, demosaic: Tensor, srgb: Tensor, coord: Tensor) -> Tensor:
        """Recolors a RAW.

        Args:
            demosaic: Linear camera RGB, shape (N, 3, H, W), H and W at least 7, bilinearly demosaiced and at least 0.
            srgb: The target in [0, 1], of the same shape.
            coord: `ispbench.models.coordinates.coordinate_grid` of the image, shape (N, 2, H, W).

        Returns:
            The geometry of `demosaic` in the colors of `srgb`, shape (N, 3, H, W), unclamped.
        """
        base = demosaic.pow(1 / 2.2)
        return self.recolor(base, coord, self.guide(base, srgb, coord))

    def guide(self, base: Tensor, srgb: Tensor, coord: Tensor) -> Tensor:
        """The summary of the target, shape (N, 64, 1, 1); `base` is the RAW after its gamma, see `forward`."""
        return self.guide_net(torch.cat((base, srgb, coord), 1))

    def recolor(self, base: Tensor, coord: Tensor, guide: Tensor) -> Tensor:
        """Maps each pixel of `base`, the RAW after its gamma, shape (N, 3, H, W), by itself."""
        features = self.align_head(torch.cat((base, coord), 1))
        return self.align_tail(self.align_base(features * (1 + guide))) + base
