"""The one table of metrics: CSV columns, the table of ``results/README.md``, W&B summaries and displays come from it.

A metric is a function and its entry. One of your own needs no edit here: write the entry in a module of yours and name
it in the configuration, ``+metrics.extra.sharpness._target_=my_package.SHARPNESS``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any

from torch import Tensor

from ispbench.errors import UserError
from ispbench.metrics.color import ciede2000
from ispbench.metrics.quality import LPIPS, ms_ssim, psnr, psnr_channel, psnr_luminance, ssim, ssim_sample

Score = Callable[..., Tensor]


@dataclass(frozen=True)
class Metric:
    """One metric: its function, and all that anything else needs to know about it.

    Attributes:
        name: Its key in summaries, and its column in the CSV.
        function: Takes images, shape (N, 3, H, W), sRGB in [0, 1]; then references of the same shape, if `reference`;
            then a mask, shape (N, 1, H, W), or None, if `mask`. Returns N values, shape (N,). With `weights` it is
            called without arguments first and returns that function.
        higher_is_better: The direction.
        label: Heading of its column in printed tables.
        description: What it measures, one sentence for the documentation.
        unit: Such as dB; empty for none.
        digits: Decimals in printed tables.
        reference: Whether it compares with a target.
        mask: Whether it can leave pixels out; without, it is empty under protocols that mask pixels.
        weights: Whether `function` loads weights; if they cannot be had, the score stays empty with the reason.
        rounded: Whether it sees images rounded to 8 bits, as a saved image would be, or only clamped.
        version: Raised when the definition changes; evaluations of other versions do not compare.
    """

    name: str
    function: Score
    higher_is_better: bool
    label: str
    description: str
    unit: str = ""
    digits: int = 4
    reference: bool = True
    mask: bool = True
    weights: bool = False
    rounded: bool = True
    version: int = 1

    @property
    def heading(self) -> str:
        """The label with an arrow towards the better end."""
        return f"{self.label} {'↑' if self.higher_is_better else '↓'}"

    def load(self) -> Score:
        """The function that scores.

        Raises:
            WeightsUnavailableError: if it needs weights that cannot be had.
        """
        return self.function() if self.weights else self.function

    def score(self, function: Score, images: Tensor, references: Tensor, mask: Tensor | None = None) -> Tensor:
        """Calls a loaded function with what it takes; see `function` for shapes."""
        arguments = [images, *([references] if self.reference else []), *([mask] if self.mask else [])]
        return function(*arguments)


_ENTRIES = (
    Metric("psnr", psnr, True, "PSNR", "over all RGB values of an image; identical images count 100", "dB", 2),
    Metric(
        "ssim",
        ssim,
        True,
        "SSIM",
        "Gaussian window 11x11, sigma 1.5, population covariance, windows inside the image; mean over channels",
    ),
    Metric("lpips", LPIPS, False, "LPIPS", "AlexNet, version 0.1", weights=True),
    Metric("ciede2000", ciede2000, False, "CIEDE2000", "color difference, mean over pixels, D65", digits=2),
    Metric(
        "ms_ssim", ms_ssim, True, "MS-SSIM", "SSIM at five scales; undefined where an image has a side below 176 pixels"
    ),
    Metric("lpips_vgg", partial(LPIPS, "vgg"), False, "LPIPS-VGG", "LPIPS with VGG16", weights=True),
    Metric("ssim_sample", ssim_sample, True, "SSIM (sample)", "SSIM with sample covariance, scikit-image's default"),
    Metric("psnr_channel", psnr_channel, True, "PSNR (channels)", "mean of the PSNRs of R, G and B", "dB", 2),
    Metric("psnr_luminance", psnr_luminance, True, "PSNR (luma)", "PSNR of the full-range luma of BT.601", "dB", 2),
    Metric("psnr_unrounded", psnr, True, "PSNR (float)", "of the output clamped, not rounded", "dB", 2, rounded=False),
    Metric("ssim_unrounded", ssim, True, "SSIM (float)", "of the output clamped, not rounded", rounded=False),
)

TABLE = MappingProxyType({entry.name: entry for entry in _ENTRIES})


def choose(names: Sequence[str], extra: Mapping[str, Any] | None = None) -> dict[str, Metric]:
    """The metrics of some names, in their order.

    Args:
        names: Of the table, or of `extra`.
        extra: Further metrics by name: a `Metric`, or ``{"_target_": "my_package.ENTRY", **options}``, where the options
            are bound to the entry's function.

    Raises:
        UserError: for an unknown name or an entry that is none.
    """
    known = dict(TABLE) | {name: _entry(name, value) for name, value in (extra or {}).items()}
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"There is no metric {unknown[0]!r}; choose from {', '.join(known)}.")
    return {name: known[name] for name in [*names, *(name for name in extra or {} if name not in names)]}


def _entry(name: str, value: Any) -> Metric:
    if not isinstance(value, Metric):
        from hydra.utils import get_object

        options = dict(value)
        path = str(options.pop("_target_", ""))
        try:
            value = get_object(path)
        except Exception as error:
            raise UserError(f"metrics.extra.{name}._target_={path} cannot be imported: {error}") from error
        if isinstance(value, Metric) and options:
            value = replace(value, function=partial(value.function, **options))
    if not isinstance(value, Metric):
        raise UserError(f"metrics.extra.{name} is not an ispbench.metrics.table.Metric but {type(value).__name__}.")
    return replace(value, name=name)
