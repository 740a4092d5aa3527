"""Whether a dataset is sound: all pairs present and readable, levels and CFA plausible, no files mixed up.

Each finding says how many files it concerns, names the first ones, and says what to do.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
from rich.progress import Progress

from ispbench.data.datamodule import PairedDataModule
from ispbench.data.datasets.layout import Issue
from ispbench.data.packing import check_pack
from ispbench.data.pairs import PairSource
from ispbench.data.parallel import read_pairs, spread
from ispbench.data.validation.diagnose import MATCHED, Finding, Statistics, diagnose
from ispbench.data.validation.plausibility import (
    correlation,
    gray_world,
    phase_agreements,
    raw_luminance,
    rendering_psnr,
    target_luminance,
)
from ispbench.errors import UserError

_RENDERED = 64  # pairs to render per split
_MARGIN = 0.02  # noise around black, as a fraction of the white level
_KEPT = 500  # suspicious pairs to compare with each other


def check(data: PairedDataModule, limit: int | None = None) -> list[Finding]:
    """Checks a dataset.

    Args:
        data: The dataset.
        limit: How many pairs to read of each split, evenly spread; None for all.

    Raises:
        UserError: if there is nothing to check.
    """
    sources, issues = data.survey()
    counts = ", ".join(f"{len(source):,} {split}" for split, source in sources.items())
    findings = [Finding("ok" if not issues else "warning", f"pairs found: {counts}")]
    findings += [_of_kind(issues, kind, data) for kind in dict.fromkeys(item.kind for item in issues)]
    findings += [
        Finding("ERROR", f"the {split} split has no pairs", remedy="restore its files")
        for split, source in sources.items()
        if not len(source)
    ]
    statistics, unreadable = Statistics(), list[str]()
    chosen = {split: spread(len(source), limit) for split, source in sources.items()}
    with Progress() as bar:
        task = bar.add_task("Reading", total=sum(map(len, chosen.values())))
        for split, source in sources.items():
            unreadable += _measure(split, source, chosen[split], data, statistics, lambda: bar.advance(task))
    if unreadable:
        text = f"{len(unreadable):,} pairs cannot be used"
        findings.append(Finding("ERROR", text, unreadable, "restore each file as its line says"))
    if data.pack != "never":
        damaged = [line for split in sources for line in check_pack(data.pack_path(split), limit)]
        if damaged:
            findings.append(
                Finding("ERROR", f"{len(damaged):,} packed pairs are damaged", damaged, "delete the copies")
            )
    if statistics.pairs:
        for source in sources.values():
            _render(source, spread(len(source), min(_RENDERED, limit or _RENDERED)), data, statistics)
        findings += diagnose(statistics, data.black_level, data.white_level, data.cfa)
    return findings


def _of_kind(issues: Sequence[Issue], kind: str, data: PairedDataModule) -> Finding:
    same = [issue for issue in issues if issue.kind == kind]
    accepted = same[0].tolerable and data.allow_partial
    text = f"{sum(issue.count for issue in same):,} x {kind}"
    return Finding(
        "warning" if accepted else "ERROR",
        text + (" (data.allow_partial=true)" if accepted else ""),
        [issue.place for issue in same],
        "" if accepted else same[0].remedy,
    )


def _measure(
    split: str,
    source: PairSource,
    indices: Sequence[int],
    data: PairedDataModule,
    statistics: Statistics,
    advance: Callable[[], None],
) -> list[str]:
    """Adds some pairs to the statistics; returns the reasons why others cannot be read."""
    unreadable = []
    black, white = data.black_level, data.white_level
    for index, pair in read_pairs(source, indices):
        advance()
        if isinstance(pair, UserError):
            unreadable.append(str(pair))
            continue
        mosaic, target = pair
        name = f"{split}:{source.names[index]}"
        statistics.largest = max(statistics.largest, int(mosaic.max()))
        statistics.darkest = min(statistics.darkest, float(np.quantile(mosaic, 0.001)))
        below = float(np.mean(mosaic < black - _MARGIN * white))
        statistics.below_black += (below - statistics.below_black) / (statistics.pairs + 1)
        statistics.pairs += 1
        if (bits := source.stored_bits(index)) is not None:
            statistics.eight_bit = (statistics.eight_bit or 0) + (bits == 8)
        maps = raw_luminance(mosaic, black, white), target_luminance(target)
        statistics.matches[name] = correlation(*maps)
        if statistics.matches[name] < MATCHED and len(statistics.suspicious) < _KEPT:
            statistics.suspicious[name] = maps
    return unreadable


def _render(source: PairSource, indices: Sequence[int], data: PairedDataModule, statistics: Statistics) -> None:
    """Adds gray-world renderings of some pairs to the statistics."""
    black, white = data.black_level, data.white_level
    collected = defaultdict(list, statistics.phases)
    for _, pair in read_pairs(source, indices):
        if isinstance(pair, UserError):
            continue
        mosaic, target = pair
        statistics.psnr.append(rendering_psnr(gray_world(mosaic, black, white), target))
        statistics.psnr_from_darkest.append(rendering_psnr(gray_world(mosaic, statistics.darkest, white), target))
        for phase, agreement in phase_agreements(mosaic, target, black, white).items():
            collected[phase].append(agreement)
    statistics.phases = dict(collected)
