"""Scoring images that somebody else rendered."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ispbench.config import build, compose_run, require_values
from ispbench.data.image_files import read_srgb
from ispbench.errors import UserError
from ispbench.evaluation.configured import base_identity, metrics_of
from ispbench.evaluation.evaluate import score_outputs
from ispbench.files import refuse_unwritable
from ispbench.results import store
from ispbench.results.keys import canonical, key_of
from ispbench.results.records import EvaluationRecord

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
_NAMED = 5  # how many offending files an error spells out


def find_images(folder: Path, names: list[str], suffix: str = "") -> list[Path]:
    """The image of each target, in order.

    Args:
        folder: Holds ``NAME<suffix>.png``, ``.jpg`` or ``.tif`` for every target; folders within a name may be there or
            not.
        names: Of the targets.
        suffix: What the file names have besides, such as ``-metaisp``, which ``ispbench render`` adds.

    Raises:
        UserError: naming the missing, ambiguous and extra files.
    """
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}; give the folder that holds the rendered images.")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    by_name: dict[str, list[Path]] = {}
    for path in files:
        place = path.relative_to(folder).with_suffix("").as_posix()
        for key in {place, place.rpartition("/")[2]}:
            by_name.setdefault(key, []).append(path)
    found = {name: by_name.get(name + suffix) or by_name.get(name.rpartition("/")[2] + suffix, []) for name in names}
    missing = [name + suffix for name, paths in found.items() if not paths]
    ambiguous = [name + suffix for name, paths in found.items() if len(paths) > 1]
    used = {path for paths in found.values() for path in paths}
    extra = [str(path.relative_to(folder)) for path in files if path not in used]
    problems = [
        f"{len(group)} {word} ({', '.join(group[:_NAMED])}{', ...' if len(group) > _NAMED else ''})"
        for group, word in ((missing, "missing"), (ambiguous, "ambiguous"), (extra, "extra"))
        if group
    ]
    if problems:
        hint = _hint(names, list(by_name)) if missing and not suffix else ""
        raise UserError(
            f"{folder} does not hold one image a target, named like it: {'; '.join(problems)}. The split has "
            f"{len(names)} targets.{hint}"
        )
    return [paths[0] for paths in found.values()]


def _hint(names: list[str], stems: list[str]) -> str:
    """What the file names may have besides, where all agree on it."""
    pattern = re.compile("|".join(f"^{re.escape(name.rpartition('/')[2])}(?=-)" for name in names))
    rests = {pattern.sub("", stem) for stem in stems if pattern.match(stem)}
    return f" Files are named NAME{rests.pop()}: set suffix=... to that ending." if len(rests) == 1 else ""


def renderer(paths: list[Path]) -> Callable[[dict[str, Any]], Tensor]:
    """A function that reads the images of a batch, for `ispbench.evaluation.evaluate.score_outputs`."""

    def read(batch: dict[str, Any]) -> Tensor:
        size = tuple(batch["target"].shape[-2:])
        images = []
        for index in batch["index"].tolist():
            image = read_srgb(paths[index])
            if image.shape[:2] != size:
                height, width = image.shape[:2]
                raise UserError(f"{paths[index]} has {width}x{height} pixels; its target has {size[1]}x{size[0]}.")
            images.append(torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 255)
        return torch.stack(images).to(batch["raw"].device)

    return read


def hash_images(paths: list[Path]) -> str:
    """A hash of the images' bytes, in order."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def score_folder(folder: Path, name: str, suffix: str, overrides: list[str]) -> tuple[EvaluationRecord, Path]:
    """Scores the images of a folder against the targets of a dataset, and stores the record.

    Args:
        folder: Of the images, see `find_images`.
        name: Who made them, the ``model`` of the record.
        suffix: See `find_images`.
        overrides: Of the configuration: ``data=...``, ``protocol=...``, ``eval.split=...``.

    Returns:
        The record and its file.

    Raises:
        UserError: for missing, extra or wrongly sized images.
    """
    config = compose_run(overrides)
    require_values(config)
    data, protocol = build(config.data), build(config.protocol)
    data.num_workers = config.num_workers
    data.prepare_data()
    split = config.eval.split
    paths = find_images(folder, list(data.source(split).names), suffix)
    metrics = metrics_of(config.metrics)
    record = EvaluationRecord(
        key="",
        model=name,
        dataset=config.choices.data,
        protocol=protocol.full_name(data),
        split=split,
        origin="images",
        weights=hash_images(paths),
        simulated=data.simulated,
    )
    source = {"images": record.weights, "name": name}
    record.config = canonical({**base_identity(config, data, protocol), "source": source})
    record.key = key_of(record.config)
    results = Path(config.paths.results)
    refuse_unwritable(results)
    result = score_outputs(renderer(paths), data, protocol, split, metrics, limit=config.eval.limit)
    record.metrics, record.data, record.notes = dict(result.summary), dict(result.data), dict(result.notes)
    record.by, record.status = dict(result.by), "finished"
    return record, store.save(results, record, result.scores.to_csv(index=False))
