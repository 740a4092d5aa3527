"""Image quality, image by image: PSNR, SSIM, LPIPS.

Each function takes a batch of images and references, shape (N, 3, H, W), sRGB in [0, 1], and returns N values. A set's
score is the mean of its images' values; pooling the error over the set instead gives other numbers.
"""

import warnings

import lpips
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispbench.metrics.backbones import load_features

PSNR_CAP = 100.0  # of two identical images, so that a mean exists


def quantise(images: Tensor) -> Tensor:
    """Clamps to [0, 1] and rounds to 8 bits, as a saved image would be."""
    return images.float().clamp(0, 1).mul(255).round().div(255)


def psnr(images: Tensor, references: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image over all its RGB values, in dB, at most `PSNR_CAP`; shape (N,)."""
    error = (images.double() - references.double()).square().mean((1, 2, 3))
    return (-10 * torch.log10(error)).clamp_max(PSNR_CAP).float()


def ssim(images: Tensor, references: Tensor) -> Tensor:
    """Structural similarity of each image, a mean over channels and 11x11 windows inside the image; shape (N,).

    Gaussian window of sigma 1.5, population covariance, K1 = 0.01, K2 = 0.03.

    Reference: Wang et al., "Image quality assessment: from error visibility to structural similarity", TIP 2004.
    """
    x, y = images.float(), references.float()
    mean_x, mean_y, square_x, square_y, product = _windows(torch.cat((x, y, x * x, y * y, x * y), dim=1)).chunk(
        5, dim=1
    )
    variance_x, variance_y = square_x - mean_x**2, square_y - mean_y**2
    covariance = product - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + 0.01**2) / (mean_x**2 + mean_y**2 + 0.01**2)
    structure = (2 * covariance + 0.03**2) / (variance_x + variance_y + 0.03**2)
    return (luminance * structure).mean((1, 2, 3))


def _windows(maps: Tensor) -> Tensor:
    """Weighted means over the windows inside the image, shape (N, C, H, W) to (N, C, H - 10, W - 10)."""
    taps = torch.exp(-0.5 * (torch.arange(-5, 6, device=maps.device) / 1.5) ** 2)
    kernel = (taps / taps.sum()).expand(maps.shape[1], 1, 11)
    rows = F.conv2d(maps, kernel[..., None], groups=maps.shape[1])
    return F.conv2d(rows, kernel[:, :, None], groups=maps.shape[1])


class LPIPS(nn.Module):
    """Learned perceptual image patch similarity, version 0.1, of the ``lpips`` package; lower is better.

    Reference: Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018.

    Args:
        network: ``alex`` or ``vgg``.
        weights: A file of the backbone's ImageNet weights; null to search for them, see `backbones.load_features`.

    Raises:
        WeightsUnavailableError: if no weights are found.
    """

    def __init__(self, network: str = "alex", weights: str | None = None) -> None:
        super().__init__()
        state = load_features({"alex": "alexnet", "vgg": "vgg16"}[network], weights)
        with warnings.catch_warnings():  # lpips calls torchvision in a deprecated way
            warnings.simplefilter("ignore", UserWarning)
            self.model = lpips.LPIPS(net=network, version="0.1", pnet_rand=True, verbose=False)
        backbone = self.model.net
        # lpips cuts the backbone into slices whose layers keep their numbers: slice2.3.weight is features.3.weight.
        backbone.load_state_dict({name: state[f"features.{name.split('.', 1)[1]}"] for name in backbone.state_dict()})
        self.requires_grad_(False)

    def forward(self, images: Tensor, references: Tensor) -> Tensor:
        """The distance of each image to its reference, sRGB in [0, 1]; shape (N,)."""
        return self.model(images.float(), references.float(), normalize=True).flatten()
