"""Pairs before and after the alignment, drawn side by side."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from ispbench.data.datamodule import PairedDataModule
from ispbench.data.pairs import PairDataset
from ispbench.errors import UserError
from ispbench.files import write_image
from ispbench.protocols.aligned import AlignedToRaw

TITLES = ("RAW, colors mapped", "original target", "difference x4", "aligned target", "difference x4")
_GAP, _HEAD = 4, 20


def draw(
    data: PairedDataModule, protocol: AlignedToRaw, split: str, names: Sequence[str], crop: int, path: Path
) -> None:
    """Writes one row a pair: the recolored RAW, both targets and what differs, cut where alignment mattered most.

    Args:
        data: The dataset.
        protocol: Aligns.
        split: train, val or test.
        names: Of the pairs; empty for the first of the split.
        crop: Side of the square that is shown.
        path: Of the PNG or JPEG.

    Raises:
        UserError: for an unknown name or another kind of file.
    """
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise UserError(f"{path} is to be a .png or .jpg file.")
    pairs = PairDataset(data.source(split))
    known = list(data.source(split).names)
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"The {split} split has no pair {unknown[0]}; it starts with {', '.join(known[:5])}.")
    rows = []
    for name in names or known[:1]:
        pair = pairs[known.index(name)]
        batch = {key: torch.from_numpy(pair[key])[None] for key in ("raw", "target")}
        batch = data.to_canonical(batch)
        raw, target = batch["raw"][0], batch["target"][0]
        mapped = protocol.mapping(raw, target)
        aligned, mask = protocol.align(raw, target)
        before, after = (mapped - target).abs() * mask, (mapped - aligned).abs() * mask
        window = _where_it_mattered(before - after, crop)
        panels = (mapped, target, before * 4, aligned, after * 4)
        rows.append([_pixels(panel[(..., *window)]) for panel in panels])
    write_image(path, _sheet(rows), "choose another picture=FILE", quality=85)


def _where_it_mattered(gain: Tensor, crop: int) -> tuple[slice, slice]:
    height, width = gain.shape[-2:]
    crop = min(crop, height, width)
    sums = torch.nn.functional.avg_pool2d(gain.mean(0)[None, None], crop, stride=1)[0, 0]
    top, left = divmod(int(sums.argmax()), sums.shape[1])
    return slice(top, top + crop), slice(left, left + crop)


def _pixels(panel: Tensor) -> np.ndarray:
    return panel.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).numpy()


def _sheet(rows: list[list[np.ndarray]]) -> np.ndarray:
    height, width = rows[0][0].shape[:2]
    columns = len(rows[0])
    sheet = np.full((_HEAD + len(rows) * (height + _GAP), columns * (width + _GAP), 3), 255, np.uint8)
    for column, title in enumerate(TITLES):
        cv2.putText(sheet, title, (column * (width + _GAP), 14), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 0, 1, cv2.LINE_AA)
    for number, row in enumerate(rows):
        top = _HEAD + number * (height + _GAP)
        for column, panel in enumerate(row):
            left = column * (width + _GAP)
            sheet[top : top + panel.shape[0], left : left + panel.shape[1]] = panel
    return sheet
