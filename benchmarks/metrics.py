"""How fast scores are computed: ours against scikit-image, and the fast path against the plain code that defines it.

python benchmarks/metrics.py [--size 448] [--batch 8] [--threads N] [--repeat 20]

All on the same images and the same cores. Both sides alternate, three batches each in turn, in one process, and the
fastest batch of each counts: other programs can only slow them down. Times are per image. Wall time is what a user
waits for; CPU time is what all threads together cost.
"""

import argparse
import time
from collections.abc import Callable

import cv2
import numpy as np
import torch
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from ispbench.metrics import color, similarity
from ispbench.metrics.quality import quantize
from ispbench.metrics.scoring import score_each
from ispbench.metrics.table import TABLE

IN_A_ROW = 3  # turns of one side: the first finds the caches filled by the other


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=448)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeat", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(options.batch, 3, options.size // 8 + 2, options.size // 8 + 2, generator=generator)
    reference = torch.nn.functional.interpolate(coarse, (options.size, options.size), mode="bicubic")
    noise = 0.05 * torch.randn(reference.shape, generator=generator)
    image, reference = quantize(reference + noise), quantize(reference)
    arrays = [value.permute(0, 2, 3, 1).numpy().astype(np.float64) for value in (image, reference)]
    pairs = list(zip(*arrays, strict=True))
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "channel_axis": 2}
    rivals: dict[str, Callable] = {
        "psnr": lambda a, b: peak_signal_noise_ratio(b, a, data_range=1),
        "ssim": lambda a, b: structural_similarity(b, a, data_range=1, **window),
        "ciede2000": lambda a, b: deltaE_ciede2000(rgb2lab(b), rgb2lab(a)).mean(),
    }
    plain = {"ssim": similarity.ssim, "ms_ssim": similarity.ms_ssim, "ciede2000": color.ciede2000}

    def ours(name: str, function: Callable | None = None) -> Callable:
        return lambda: score_each(TABLE[name], function or TABLE[name].function, image, reference).mean()

    def compare(sides: tuple[Callable, Callable]) -> tuple[np.ndarray, str]:
        times, values = alternate(sides, options.repeat)
        return times / options.batch, f"  {values[0]:.5f} {values[1]:.5f}"

    print(f"{options.size}x{options.size}, {options.threads} threads, batches of {options.batch}")
    print(f"{'':18}{'ours':>10}{'skimage':>10}{'ratio':>8}{'CPU ratio':>11}   values")
    sums = np.zeros((2, 2))
    for name, theirs in rivals.items():
        times, values = compare((ours(name), lambda theirs=theirs: np.mean([theirs(a, b) for a, b in pairs])))
        sums += times
        print(row(name, times), values)
    print(row("all three", sums))
    print(f"{'':18}{'fast':>10}{'plain':>10}{'ratio':>8}{'CPU ratio':>11}   values")
    for name, function in plain.items():
        times, values = compare((ours(name), ours(name, function)))
        print(row(name, times), values)
    print("others, without a rival:")
    for name in ("psnr_channel", "psnr_luminance", "psnr_color_fitted"):
        [times], _ = alternate((ours(name),), options.repeat)
        print(f"{name:18}{1e3 * times[0] / options.batch:8.2f}ms")


def alternate(actions: tuple[Callable, ...], repeat: int) -> tuple[np.ndarray, list]:
    """The least wall and CPU seconds of each action, and what it returned."""
    values = [action() for action in actions]
    clocks: list[list[tuple[float, float]]] = [[] for _ in actions]
    for _ in range(repeat):
        for number, action in enumerate(actions):
            for _ in range(IN_A_ROW):
                wall, cpu = time.perf_counter(), time.process_time()
                action()
                clocks[number].append((time.perf_counter() - wall, time.process_time() - cpu))
    return np.array([[min(part) for part in zip(*one, strict=True)] for one in clocks]), values


def row(name: str, times: np.ndarray) -> str:
    (ours, cpu), (theirs, their_cpu) = times
    return f"{name:18}{1e3 * ours:8.2f}ms{1e3 * theirs:8.1f}ms{theirs / ours:7.1f}x{their_cpu / cpu:10.1f}x"


if __name__ == "__main__":
    main()
