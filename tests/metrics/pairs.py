"""Random pairs of images for the tests of metrics."""

import numpy as np
import torch

from ispbench.metrics.quality import quantize


def pair(size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    reference = torch.rand(2, 3, *size, generator=generator)
    noise = torch.tensor([0.1, 0.02]).view(2, 1, 1, 1) * torch.randn(2, 3, *size, generator=generator)
    return quantize(reference + noise), quantize(reference)


def hwc(image):
    return image.permute(1, 2, 0).numpy().astype(np.float64)


def each(score, images, references):
    return [score(hwc(image), hwc(reference)) for image, reference in zip(images, references, strict=True)]
