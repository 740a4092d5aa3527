"""Single images of a row, rendered by the checkpoint of its run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch.utils.data import default_collate

from ispbench.checkpoint_files import read
from ispbench.config import build, load_run
from ispbench.data.pairs import PairDataset
from ispbench.errors import UserError
from ispbench.evaluation.configured import Source, prepare
from ispbench.metrics.quality import quantize
from ispbench.results.claims import folder_of
from ispbench.results.records import EvaluationRecord
from ispbench.results.rows import Record, Row

if TYPE_CHECKING:
    from omegaconf import DictConfig


@dataclass(frozen=True)
class Sides:
    """An image as it was rendered, and what it was compared with, each of shape (H, W, 3)."""

    output: NDArray[np.uint8]
    target: NDArray[np.uint8]


def render_row(row: Row, images: Sequence[str], outputs: Path) -> dict[str, Sides]:
    """Renders images by the first seed of a row whose run folder is there.

    Args:
        row: Of the leaderboard.
        images: Their names.
        outputs: Folder of the runs.

    Raises:
        UserError: if no run folder holds the weights that were scored, with the data they were scored on.
    """
    for record in row.records:
        folder = folder_of(outputs.absolute(), record.get("training_key") or "")
        if folder is not None:
            return _render(record, folder, images)
    raise UserError("the output folder holds no run of it; give outputs=DIR.")


@torch.inference_mode()
def _render(record: Record, folder: Path, images: Sequence[str]) -> dict[str, Sides]:
    config = _configuration(record, folder)
    data, protocol = build(config.data), build(config.protocol)
    data.num_workers = 0
    data.prepare_data()
    split = record["split"]
    source = data.source(split)
    if (protocol.full_name(data), source.fingerprint[:16]) != (record["protocol"], record["data"].get("fingerprint")):
        raise UserError(f"{folder.name} is configured for other data than what was scored.")
    model = _model(record, config, data, folder)
    device = next((value.device for value in [*model.parameters(), *model.buffers()]), torch.device("cpu"))
    with torch.inference_mode(False):
        protocol.prepare(data, split)
    names, pairs = list(source.names), PairDataset(source)
    found = {}
    for name in images:
        stored = default_collate([pairs[names.index(name)]])
        batch = data.to_canonical({key: _to(value, device) for key, value in stored.items()})
        image = model(batch["raw"]).float()
        if image.shape[-2:] != batch["target"].shape[-2:]:
            image = F.interpolate(image, batch["target"].shape[-2:], mode="bilinear", align_corners=False)
        image = quantize(torch.nan_to_num(image))
        found[name] = Sides(_bytes(image), _bytes(protocol.reference(image, batch).target))
    return found


def _configuration(record: Record, folder: Path) -> "DictConfig":
    """The run's configuration, with what the evaluation chose."""
    options = record["config"].get("evaluation", {}).get("eval", {})
    if options.get("average_with"):
        raise UserError("it is an average with weights whose files the record does not name.")
    chosen = [f"eval.{name}={options[name]}" for name in ("checkpoint", "deploy", "self_ensemble") if name in options]
    return load_run(folder, chosen)


def _model(record: Record, config: "DictConfig", data: Any, folder: Path) -> Any:
    """The model with the weights that were scored."""
    weights = folder / "checkpoints" / f"{record.get('checkpoint', {}).get('name', 'last')}.ckpt"
    if not weights.is_file():
        raise UserError(f"{folder.name} has no checkpoints/{weights.name}.")
    scored = EvaluationRecord(key="", model=record["model"], dataset=record["dataset"], protocol=record["protocol"])
    source = Source(model=record["model"], dataset=record["dataset"], weights=read(weights))
    model = prepare(scored, config, data, source, build(config.model))
    if scored.weights != record.get("weights"):
        raise UserError(f"{folder.name} holds another checkpoint than the one that was scored.")
    return model


def _to(value: Any, device: torch.device) -> Any:
    return value.to(device) if isinstance(value, torch.Tensor) else value


def _bytes(image: torch.Tensor) -> NDArray[np.uint8]:
    return (image[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
