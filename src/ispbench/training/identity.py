"""What makes a training the same training again: the settings that move a weight.

Every group says which of its settings are no identity; what nobody speaks of counts.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from ispbench.checkpoints import newest_checkpoint, weights_file
from ispbench.data.datamodule import PairedDataModule
from ispbench.files import hash_file
from ispbench.results.keys import canonical, code_digest

# Where things lie, how they are shown, and what an evaluation is made of; its own key holds that.
_NO_IDENTITY = {
    "paths",
    "logger",
    "metrics",
    "protocol",
    "eval",
    "train",
    "test",
    "overwrite",
    "num_workers",
    "callbacks",
    "data",
    "choices",
}
# Of the trainer: on which devices it computes, and what it prints. The batch is divided among devices, not multiplied.
_TRAINER_NO_IDENTITY = {
    "_target_",
    "accelerator",
    "devices",
    "num_nodes",
    "strategy",
    "accumulate_grad_batches",
    "benchmark",
    "enable_checkpointing",
    "enable_model_summary",
    "enable_progress_bar",
    "inference_mode",
    "limit_test_batches",
    "log_every_n_steps",
    "num_sanity_val_steps",
    "profiler",
    "use_distributed_sampler",
}

# Of the trainer: 1 is a single batch, but 1.0 are all; in a key's canonical form both are 1.
_BATCHES = ("limit_train_batches", "limit_val_batches", "overfit_batches")
_ONE_BATCH = "1 batch"


def training_identity(config: DictConfig, data: PairedDataModule) -> dict[str, Any]:
    """The settings of a training's key, in canonical form.

    Args:
        config: The composed configuration.
        data: Its dataset.
    """
    resolved: Any = OmegaConf.to_container(config, resolve=False)
    groups = [key for key in resolved if key not in _NO_IDENTITY]
    settings = {key: _plain(config, key) for key in groups}
    settings["trainer"] = {
        key: _ONE_BATCH if key in _BATCHES and isinstance(value, int) and value == 1 else value
        for key, value in (settings["trainer"] or {}).items()
        if key not in _TRAINER_NO_IDENTITY
    }
    settings["loss"] = loss_identity(settings["loss"])
    settings["weights"] = None if settings["weights"] is None else _hash(weights_file(settings["weights"]))
    settings["resume"] = None if settings["resume"] in ("auto", "never") else _hash_resumed(Path(settings["resume"]))
    settings["callbacks"] = _callbacks(config.callbacks)
    settings["data"] = _data(data)
    settings["code"] = code_digest(get_object(config.model._target_))
    return canonical(settings)


def loss_identity(loss: Any) -> Any:
    """A loss without the terms that weigh nothing."""
    if not isinstance(loss, Mapping) or not {"weights", "terms"} <= set(loss):
        return loss
    weights = _used(loss["weights"])
    side_weights = [_used(weights) for weights in loss.get("side_weights") or []]
    used = set(weights).union(*side_weights)
    terms = {name: options for name, options in loss["terms"].items() if name in used}
    return {**loss, "weights": weights, "side_weights": side_weights, "terms": terms}


def _used(weights: Mapping[str, float]) -> dict[str, float]:
    return {name: weight for name, weight in weights.items() if weight}


def _callbacks(group: DictConfig | None) -> dict[str, Any]:
    """The callbacks that may move a weight: all whose class does not say otherwise by ``decides_numbers = False``."""
    found = {}
    for name, node in (group or {}).items():
        if node is None:
            continue
        kind = get_object(node._target_)
        if not getattr(kind, "decides_numbers", True):
            continue
        places = getattr(kind, "places", ())
        settings = {key: value for key, value in _resolved(node).items() if key not in places}
        found[str(name)] = settings | ({"code": code} if (code := code_digest(kind)) else {})
    return found


def _data(data: PairedDataModule) -> dict[str, Any]:
    settings = {key: value for key, value in data.identity().items() if key != "eval_batch_size"}
    pairs = {split: data.source(split).fingerprint[:16] for split in ("train", "val")}
    return settings | {"version": data.version, "pairs": pairs}


def _plain(config: DictConfig, key: str) -> Any:
    value = config[key]
    return _resolved(value) if OmegaConf.is_config(value) else value


def _resolved(node: Any) -> Any:
    return OmegaConf.to_container(node, resolve=True)


def _hash_resumed(source: Path) -> str:
    newest = newest_checkpoint(source) if source.is_dir() else None
    return _hash(source) if newest is None else newest.hash


def _hash(path: Path) -> str:
    return hash_file(path) if path.is_file() else str(path)  # that it is missing is told where it is read
