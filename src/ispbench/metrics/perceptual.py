"""LPIPS, the distance of learned features."""

import warnings

import lpips
import torch.nn.functional as F
from torch import Tensor, nn

from ispbench.metrics.arithmetic import deterministic
from ispbench.metrics.backbones import load_features
from ispbench.metrics.quality import average


class LPIPS(nn.Module):
    """Learned perceptual image patch similarity, version 0.1, of the ``lpips`` package; lower is better.

    Reference: Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018.

    Args:
        network: ``alex`` or ``vgg``.
        weights: A file of the backbone's ImageNet weights; None to search for them, see `backbones.load_features`.

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

    def forward(self, images: Tensor, references: Tensor, mask: Tensor | None = None) -> Tensor:
        """The distance of each image to its reference, sRGB in [0, 1]; shape (N,).

        Outside a mask the image takes the reference's pixels, and each layer's distances are averaged with the share of
        valid pixels under them as weights.
        """
        images, references = images.float(), references.float()
        with deterministic(images):
            if mask is None:
                return self.model(images, references, normalize=True).flatten()
            mask = mask.float()
            total = images.new_zeros(len(images))
            layers = zip(
                self._features(images * mask + references * (1 - mask)), self._features(references), strict=True
            )
            for linear, (x, y) in zip(self.model.lins, layers, strict=True):
                distance = linear((lpips.normalize_tensor(x) - lpips.normalize_tensor(y)).square())
                weights = F.adaptive_avg_pool2d(mask, distance.shape[-2:])
                total = total + average(distance, weights).float().squeeze(1)
        return total

    def _features(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.model.net(self.model.scaling_layer(2 * images - 1)))
