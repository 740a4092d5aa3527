"""What misaligned targets do to a score: a photograph, its simulated RAW, and targets displaced by a known amount.

python benchmarks/alignment.py [--picture docs/images/alignment.jpg]

The photograph itself is what a perfect ISP would render. It is scored against a copy displaced by a smooth field, as
the target of a second camera would be, and against that copy aligned with the RAW. It ships with scikit-image.
"""

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage.data
import torch
from numpy.typing import NDArray

from ispbench.data.datamodule import PairedDataModule
from ispbench.data.pairs import Pair, PairSource
from ispbench.metrics.fast_similarity import ssim
from ispbench.metrics.quality import psnr
from ispbench.protocols.aligned import AlignedToRaw
from ispbench.protocols.alignment_figure import draw
from ispbench.protocols.flow import DIS
from ispbench.protocols.mapping import FittedGCM
from ispbench.raw.captures import CaptureRange
from ispbench.raw.simulate import expose, unprocess

SIZE, WHITE = 384, 1023
AMPLITUDES = (0.0, 0.5, 1.0, 2.0, 4.0)


class Displaced(PairSource):
    """One photograph with targets displaced by up to each of the amplitudes, in pixels."""

    def __init__(self) -> None:
        photo = skimage.data.coffee()[:SIZE, 100 : 100 + SIZE]
        rng = np.random.default_rng(1)
        capture = CaptureRange().draw(rng)
        self.photo = photo
        self.mosaic = expose(unprocess(photo, capture), capture, rng, 0, WHITE)
        self.names = [f"{amplitude:g}px" for amplitude in AMPLITUDES]
        self.fingerprint = "displaced-coffee"

    def __len__(self) -> int:
        return len(AMPLITUDES)

    def read(self, index: int) -> Pair:
        """The mosaic and the displaced photograph."""
        return self.mosaic, displace(self.photo, AMPLITUDES[index])


class DisplacedData(PairedDataModule):
    """The same as a dataset."""

    def __init__(self) -> None:
        options: dict[str, Any] = {"crop": None, "augment": False, "batch_size": 1, "eval_batch_size": 1}
        options |= {"pack": "never", "simulated": True}
        super().__init__(version="displaced", black_level=0, white_level=WHITE, **options)

    def open(self, split: str) -> Displaced:
        """The same pairs for every split."""
        return Displaced()


def displace(photo: NDArray[np.uint8], amplitude: float) -> NDArray[np.uint8]:
    """Moves the pixels by a smooth field of at most the given length."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    angle = 2 * np.pi * (x + 2 * y) / (1.5 * SIZE)
    places = (x + amplitude * np.cos(angle)).astype(np.float32), (y + amplitude * np.sin(angle)).astype(np.float32)
    return cv2.remap(photo, *places, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picture", type=Path, help="also draw two of the pairs")
    options = parser.parse_args()
    data, protocol = DisplacedData(), AlignedToRaw(DIS(), FittedGCM())
    source = data.open("test")
    perfect = image(source.photo)
    print("perfect output      original-gt             aligned-gt-raw")
    for number, name in enumerate(source.names):
        mosaic, target = source.read(number)
        planes = [mosaic[row::2, column::2] for row in (0, 1) for column in (0, 1)]
        raw = torch.from_numpy(np.stack(planes).astype(np.float32)) / WHITE
        aligned, mask = (part[None] for part in protocol.align(raw, image(target)[0]))
        before = psnr(perfect, image(target)).item(), ssim(perfect, image(target)).item()
        after = psnr(perfect, aligned, mask).item(), ssim(perfect, aligned, mask).item()
        scores = [f"{decibels:6.2f} dB  SSIM {similarity:.4f}" for decibels, similarity in (before, after)]
        print(f"target off {name:>6}   {scores[0]}   {scores[1]}")
    if options.picture:
        draw(data, protocol, "test", ["1px", "4px"], 144, options.picture)
        print(f"wrote {options.picture}")


def image(photo: NDArray[np.uint8]) -> torch.Tensor:
    """A photograph as a batch of one."""
    return torch.from_numpy(np.ascontiguousarray(photo.transpose(2, 0, 1)))[None] / 255


if __name__ == "__main__":
    main()
