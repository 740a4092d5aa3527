"""Diagnoses a dataset from statistics of its pairs: wrong levels, a wrong CFA phase, pairs that were mixed up.

The thresholds come from simulated captures and from real pairs of a high-speed camera and a DSLR. There, matched pairs
correlate above 0.95; renderings with the right CFA phase agree with the target's colors above 0.4, those with a wrong
one below 0; gray-world renderings reach a median of 22 dB.
"""

from dataclasses import dataclass, field

import numpy as np

from ispbench.data.datasets.file_source import bit_depth
from ispbench.data.validation.plausibility import Array, correlation
from ispbench.raw.bayer import PHASE_OFFSETS

MATCHED = 0.5  # a pair with a lower luminance correlation is suspicious
_SWAPPED = 0.8  # a higher correlation with another suspicious pair's target proves that files were swapped
_SUSPICIOUS_SHARE = 0.01  # a larger fraction of suspicious pairs is an error
_FLOOR_DB = 15.0  # median PSNR that gray-world renderings must reach
_PHASE_MARGIN = 0.2  # by how much another CFA phase must agree better
_BELOW_BLACK = 0.05  # a larger fraction of values below black is an error
_ABOVE_BLACK = 0.03  # a larger distance of the darkest value from black, relative to white, is suspicious
_GAIN_DB = 1.0  # by how much the darkest value as black level must improve the rendering
_FEW = 8  # fewer files do not determine the darkest value
_ENOUGH = 16  # fewer files do not determine the bit depth
_CONVERTED = 0.9  # a larger fraction of 8-bit files cannot be chance


@dataclass
class Finding:
    """One line of the report.

    Attributes:
        level: ok, warning or ERROR.
        text: What was found.
        first: The files concerned.
        remedy: What to do about it.
    """

    level: str
    text: str
    first: list[str] = field(default_factory=list)
    remedy: str = ""


@dataclass
class Statistics:
    """Statistics of the pairs of a dataset.

    Attributes:
        pairs: How many pairs were read.
        largest: The largest RAW value of all, in DN.
        darkest: The minimum over pairs of the 0.1% quantile of the RAW values, in DN.
        below_black: The fraction of values clearly below black.
        eight_bit: How many RAW files store 8 bits; None if pairs are not stored as files.
        matches: Pair name to the luminance correlation of RAW and target; NaN if one of them is flat.
        suspicious: Pair name to the luminances of RAW and target, for pairs that do not match.
        psnr: PSNR of gray-world renderings of some pairs, in dB.
        psnr_from_darkest: The same, with the darkest value as black level.
        phases: CFA phase to the color agreement of renderings of some pairs.
    """

    pairs: int = 0
    largest: int = 0
    darkest: float = float("inf")
    below_black: float = 0.0
    eight_bit: int | None = None
    matches: dict[str, float] = field(default_factory=dict)
    suspicious: dict[str, tuple[Array, Array]] = field(default_factory=dict)
    psnr: list[float] = field(default_factory=list)
    psnr_from_darkest: list[float] = field(default_factory=list)
    phases: dict[str, list[float]] = field(default_factory=dict)


def diagnose(statistics: Statistics, black: float, white: float, cfa: str) -> list[Finding]:
    """All findings about a dataset with these declared levels, in DN, and CFA phase."""
    return [
        *_depth(statistics, black, white),
        *_black(statistics, black, white),
        *_color(statistics, cfa),
        *_matching(statistics),
    ]


def _depth(statistics: Statistics, black: float, white: float) -> list[Finding]:
    bits = bit_depth(white)
    findings = []
    if statistics.pairs >= _ENOUGH and statistics.largest < 2 ** (bits - 2):
        fitting = 2 ** bit_depth(statistics.largest) - 1
        findings.append(
            Finding(
                "ERROR",
                f"no RAW value exceeds {statistics.largest}: not the {bits} bits of data.white_level={white:g}",
                remedy=f"set data.white_level={fitting} data.black_level={round(black * fitting / white)}",
            )
        )
    else:
        findings.append(Finding("ok", f"largest RAW value {statistics.largest}, white level {white:g} ({bits} bits)"))
    if statistics.eight_bit is None or bits <= 8:
        return findings
    if statistics.pairs >= _ENOUGH and statistics.eight_bit > _CONVERTED * statistics.pairs:
        findings.append(
            Finding(
                "ERROR",
                f"{statistics.eight_bit:,} of {statistics.pairs:,} RAW files store 8 bits of a {bits}-bit sensor",
                remedy="they were converted and have lost bits; unpack the original archive",
            )
        )
    elif statistics.eight_bit:
        text = f"{statistics.eight_bit:,} of {statistics.pairs:,} RAW files store 8 bits; read on the {bits}-bit scale"
        findings.append(Finding("ok", text))
    return findings


def _black(statistics: Statistics, black: float, white: float) -> list[Finding]:
    if statistics.below_black > _BELOW_BLACK:
        text = f"{statistics.below_black:.0%} of the RAW values lie below data.black_level={black:g}"
        return [Finding("ERROR", text, remedy=f"lower it; the darkest values are near {statistics.darkest:.0f}")]
    far = statistics.darkest - black > _ABOVE_BLACK * white
    if far and statistics.pairs >= _FEW and _median(statistics.psnr_from_darkest) > _median(statistics.psnr) + _GAIN_DB:
        text = f"no RAW value of {statistics.pairs:,} pairs comes near data.black_level={black:g}"
        remedy = f"set data.black_level to the sensor's, at most {statistics.darkest:.0f}"
        return [Finding("ERROR", text, remedy=remedy)]
    return [Finding("ok", f"darkest RAW values near {statistics.darkest:.0f}, black level {black:g}")]


def _color(statistics: Statistics, cfa: str) -> list[Finding]:
    findings = []
    reached = _median(statistics.psnr)
    agreement = {phase: _median(values) for phase, values in statistics.phases.items()}
    best = max(agreement, key=lambda phase: np.nan_to_num(agreement[phase], nan=-1.0), default="RGGB")
    if np.isnan(agreement.get("RGGB", np.nan)):
        findings.append(Finding("warning", "the targets have no colors that could tell the CFA phase"))
    elif agreement[best] > agreement["RGGB"] + _PHASE_MARGIN:
        text = f"the colors of the targets fit another CFA phase ({agreement[best]:.2f}) than {cfa} "
        text += f"({agreement['RGGB']:.2f})"
        findings.append(Finding("ERROR", text, remedy=f"set data.cfa={_shifted(cfa, best)}"))
    else:
        findings.append(Finding("ok", f"CFA phase {cfa}: colors agree with the targets ({agreement['RGGB']:.2f})"))
    if reached < _FLOOR_DB:
        text = f"gray-world renderings reach {reached:.1f} dB in the median, below the floor of {_FLOOR_DB:g} dB"
        remedy = "compare data.black_level, data.white_level and data.cfa with the camera's; look at ispbench data show"
        findings.append(Finding("ERROR", text, remedy=remedy))
    elif not np.isnan(reached):
        text = f"gray-world renderings reach {reached:.1f} dB in the median (floor {_FLOOR_DB:g} dB)"
        findings.append(Finding("ok", text))
    return findings


def _matching(statistics: Statistics) -> list[Finding]:
    compared = {name: value for name, value in statistics.matches.items() if not np.isnan(value)}
    exchanged = _exchanged(statistics)
    findings = []
    if exchanged:
        findings.append(
            Finding(
                "ERROR",
                f"{len(exchanged):,} RAW files show what another pair's target shows: they were exchanged",
                [f"{name} shows {other}" for name, other in exchanged.items()],
                "unpack the archive again, or put the files back under their names",
            )
        )
    odd = sorted((value, name) for name, value in compared.items() if value < MATCHED and name not in exchanged)
    if odd:
        many = len(odd) > _SUSPICIOUS_SHARE * len(compared)
        findings.append(
            Finding(
                "ERROR" if many else "warning",
                f"{len(odd):,} of {len(compared):,} pairs hardly look alike (luminance correlation below {MATCHED:g})",
                [f"{name} ({value:.2f})" for value, name in odd],
                "look at them with ispbench data show data.pack=never --names NAME,NAME; restore files of other scenes",
            )
        )
    if not findings and compared:
        middle = _median(list(compared.values()))
        text = f"{len(compared):,} pairs match (luminance correlation {middle:.2f} in the median)"
        findings.append(Finding("ok", text))
    return findings


def _exchanged(statistics: Statistics) -> dict[str, str]:
    """Suspicious pairs whose RAW fits the target of another suspicious pair: name to that pair's name."""
    result = {}
    for name, (raw, _) in statistics.suspicious.items():
        for other, (_, target) in statistics.suspicious.items():
            if other != name and correlation(raw, target) > _SWAPPED:
                result[name] = other
                break
    return result


def _shifted(declared: str, relative: str) -> str:
    """The true phase of a mosaic that still has phase `relative` after it was cropped for phase `declared`."""
    (top, left), (down, right) = PHASE_OFFSETS[declared], PHASE_OFFSETS[relative]
    total = (top ^ down, left ^ right)
    return next(phase for phase, offset in PHASE_OFFSETS.items() if offset == total)


def _median(values: list[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.median(known)) if known else float("nan")
