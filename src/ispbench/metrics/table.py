"""The one table of metrics: CSV columns, the table of ``results/README.md``, W&B summaries and displays come from it.

A metric is a function and its entry. One of your own needs no edit here: write the entry in a module of yours and name
it in the configuration, ``+metrics.extra.sharpness._target_=my_package.SHARPNESS``.
"""

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any

from torch import Tensor

from ispbench.errors import UserError
from ispbench.metrics.fast_color import ciede2000
from ispbench.metrics.fast_similarity import ms_ssim, ssim
from ispbench.metrics.iqa import learned
from ispbench.metrics.perceptual import LPIPS
from ispbench.metrics.quality import psnr, psnr_channel, psnr_color_fitted, psnr_luminance
from ispbench.metrics.similarity import MS_SSIM_SIDE, WINDOW

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
        smallest: The smallest height and width in pixels that it is defined on.
        version: Raised when the definition changes; evaluations of other versions do not compare.
        options: Keyword arguments of `function`, as configured in ``metrics.extra``.
    """

    name: str
    function: Callable[..., Any]
    higher_is_better: bool
    label: str
    description: str
    unit: str = ""
    digits: int = 4
    reference: bool = True
    mask: bool = True
    weights: bool = False
    rounded: bool = True
    smallest: int = 1
    version: int = 1
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def heading(self) -> str:
        """The label with an arrow towards the better end."""
        return f"{self.label} {'↑' if self.higher_is_better else '↓'}"

    def load(self) -> Score:
        """The function that scores.

        Raises:
            WeightsUnavailableError: if it needs weights that cannot be had.
        """
        function = partial(self.function, **self.options) if self.options else self.function
        return function() if self.weights else function

    def score(self, function: Score, images: Tensor, references: Tensor, mask: Tensor | None = None) -> Tensor:
        """Calls a loaded function with what it takes; see `function` for shapes."""
        arguments = [images, *([references] if self.reference else []), *([mask] if self.mask else [])]
        return function(*arguments)


_IQA = 'needs `pip install "ispbench[iqa]"`'
_ENTRIES = (
    Metric(
        "psnr",
        psnr,
        True,
        "PSNR",
        "10 log10(1 / MSE), MSE over all RGB values of an image; at most 100, so that identical images have a mean",
        "dB",
        2,
    ),
    Metric(
        "ssim",
        ssim,
        True,
        "SSIM",
        "Wang et al. 2004: Gaussian window 11x11, sigma 1.5, K1 0.01, K2 0.03, population covariance, windows inside "
        "the image; mean over R, G and B",
        smallest=WINDOW,
    ),
    Metric("lpips", LPIPS, False, "LPIPS", "Zhang et al. 2018: LPIPS 0.1 with AlexNet", weights=True, smallest=31),
    Metric(
        "ciede2000",
        ciede2000,
        False,
        "CIEDE2000",
        "Sharma et al. 2005: color difference, kL = kC = kH = 1, D65, 2 degrees; mean over pixels",
        digits=2,
    ),
    Metric(
        "psnr_color_fitted",
        psnr_color_fitted,
        True,
        "PSNR (color fitted)",
        "PSNR after the best affine color map of each image to its target: what is left is texture rather than color; "
        "never below `psnr`",
        "dB",
        2,
    ),
    Metric(
        "ms_ssim",
        ms_ssim,
        True,
        "MS-SSIM",
        "Wang et al. 2003: SSIM at five scales",
        smallest=MS_SSIM_SIDE,
    ),
    Metric("lpips_vgg", partial(LPIPS, "vgg"), False, "LPIPS-VGG", "LPIPS 0.1 with VGG16", weights=True, smallest=16),
    Metric(
        "ssim_sample",
        partial(ssim, covariance="sample"),
        True,
        "SSIM (sample)",
        "SSIM with sample covariance (121/120), scikit-image's default",
        smallest=WINDOW,
    ),
    Metric(
        "psnr_channel",
        psnr_channel,
        True,
        "PSNR (channels)",
        "mean of the PSNRs of R, G and B; never below `psnr`",
        "dB",
        2,
    ),
    Metric(
        "psnr_luminance",
        psnr_luminance,
        True,
        "PSNR (luma)",
        "PSNR of the full-range luma of BT.601, 0.299 R + 0.587 G + 0.114 B",
        "dB",
        2,
    ),
    Metric(
        "psnr_unrounded", psnr, True, "PSNR (float)", "PSNR of the output clamped, not rounded", "dB", 2, rounded=False
    ),
    Metric(
        "ssim_unrounded",
        ssim,
        True,
        "SSIM (float)",
        "SSIM of the output clamped, not rounded",
        rounded=False,
        smallest=WINDOW,
    ),
    Metric(
        "dists",
        partial(learned, "dists"),
        False,
        "DISTS",
        f"Ding et al. 2020: structure and texture of VGG16's features; {_IQA}",
        mask=False,
        weights=True,
    ),
    Metric(
        "topiq",
        partial(learned, "topiq_fr"),
        True,
        "TOPIQ",
        f"Chen et al. 2024: full reference, ResNet-50, trained on KADID-10k; {_IQA}",
        mask=False,
        weights=True,
    ),
    Metric(
        "musiq",
        partial(learned, "musiq"),
        True,
        "MUSIQ",
        f"Ke et al. 2021: quality of the output alone, without a target, trained on KonIQ-10k, 0 to 100; {_IQA}",
        digits=2,
        reference=False,
        mask=False,
        weights=True,
    ),
)

TABLE = MappingProxyType({entry.name: entry for entry in _ENTRIES})


def _unknown(*images: Tensor) -> Tensor:
    raise NotImplementedError("A score that only a record knows cannot be computed.")


_DYNAMIC_GAIN = Metric(
    "dynamic_gain_db",
    _unknown,
    True,
    "dynamic gain",
    "PSNR with the weights predicted for each image, minus PSNR with the weights at their mean",
    "dB",
    3,
)


def shown_as(name: str) -> Metric:
    """The entry by which a score is shown; one that only a record knows is shown as it is, the higher the better."""
    if name == _DYNAMIC_GAIN.name:
        return _DYNAMIC_GAIN
    return TABLE.get(name) or Metric(name, _unknown, True, name, "a metric of one's own")


def choose(names: Sequence[str], extra: Mapping[str, Any] | None = None) -> dict[str, Metric]:
    """The metrics of some names, in their order, then those of `extra` that `names` leaves out.

    Args:
        names: Of the table, or of `extra`.
        extra: Further metrics by name: a `Metric`, ``{"_target_": "my_package.ENTRY", **options}``, where the options
            are bound to the entry's function, or None for none. The name of a metric of the table takes
            ``{"weights": FILE}`` alone, the file of its pretrained weights, and is measured only if `names` has it.

    Raises:
        UserError: for an unknown name or an entry that is none.
    """
    extra = {name: value for name, value in (extra or {}).items() if value is not None}
    known = dict(TABLE) | {name: _entry(name, value) for name, value in extra.items()}
    names = [names] if isinstance(names, str) else names
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"There is no metric {unknown[0]!r}; choose from {', '.join(known)}.")
    return {name: known[name] for name in [*names, *(name for name in extra if name not in TABLE)]}


def _entry(name: str, value: Any) -> Metric:
    if name in TABLE:
        if not isinstance(value, Mapping) or set(value) != {"weights"} or not TABLE[name].weights:
            raise UserError(
                f"The table has a metric {name}: metrics.extra.{name} may only set weights, the file of pretrained "
                "weights that it loads; give a metric of yours another name."
            )
        _check_call(TABLE[name], name, value)
        return replace(TABLE[name], function=partial(TABLE[name].function, **value))  # a place of a file, no definition
    if isinstance(value, Metric):
        metric = replace(value, name=name)
    elif isinstance(value, Mapping):
        options = {str(key): option for key, option in value.items() if key != "_target_"}
        metric = replace(_import(name, value.get("_target_")), name=name, options=options)
    else:
        raise UserError(f"metrics.extra.{name} is not an ispbench.metrics.table.Metric but {type(value).__name__}.")
    _check_call(metric, name, metric.options)
    return metric


def _check_call(metric: Metric, name: str, options: Mapping[str, Any]) -> None:
    """Finds out before a test, not in it, that a function takes other arguments than its entry says."""
    arguments = ["images", *["references"] * metric.reference, *["mask"] * metric.mask] if not metric.weights else []
    try:
        inspect.signature(metric.function).bind(*arguments, **options)
    except TypeError as error:
        call = ", ".join([*arguments, *(f"{key}={option!r}" for key, option in options.items())])
        raise UserError(f"The function of metrics.extra.{name} cannot be called with ({call}): {error}.") from error


def _import(name: str, path: Any) -> Metric:
    module, _, attribute = str(path or "").rpartition(".")
    if not module:
        raise UserError(f"metrics.extra.{name} needs _target_, the path of its entry, such as my_package.ENTRY.")
    try:
        entry = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever the user's module raises
        raise UserError(f"metrics.extra.{name}._target_={path} cannot be imported: {error}") from error
    if not isinstance(entry, Metric):
        raise UserError(
            f"metrics.extra.{name}._target_={path} is not an ispbench.metrics.table.Metric but {type(entry).__name__}."
        )
    return entry
