"""``ispbench export``: which model, data and protocol a command line means."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf

from ispbench.checkpoints import load_weights
from ispbench.config import build, chosen, compose_run, require_all
from ispbench.data.datamodule import PairedDataModule
from ispbench.errors import UserError
from ispbench.evaluation.weights import configuration_of
from ispbench.exporting.export import export
from ispbench.exporting.request import Request
from ispbench.exporting.runtimes import SUFFIXES
from ispbench.models.interface import ISPModel
from ispbench.protocols.base import Protocol


def export_configured(
    weights: str | None, overrides: list[str], request: Request, output: Path | None, overwrite: bool
) -> tuple[dict[str, Any], Path]:
    """Exports what a command line names.

    Args:
        weights: A run folder, a checkpoint, or the authors' file; None for fresh weights of ``model=NAME``.
        overrides: Of the configuration.
        request: What is exported.
        output: The file; None for one in ``exports/``.
        overwrite: Whether it may exist.

    Returns:
        The description, and the file.

    Raises:
        UserError: for what cannot be exported, a file that exists, or one that is out of tolerance.
    """
    config, model, about = load_model(weights, overrides)
    path = output or Path("exports") / f"{about['model']}-{request.name}{SUFFIXES[request.format]}"
    if path.suffix != SUFFIXES[request.format]:
        raise UserError(f"A file of format={request.format} ends in {SUFFIXES[request.format]}, unlike output={path}.")
    if path.exists() and not overwrite:
        raise UserError(f"{path} exists already; set overwrite=true or another output=FILE.")
    data, protocol = load_data(config)
    return export(model, data, protocol, replace(request, seed=config.seed), path, about), path


def load_model(weights: str | None, overrides: list[str]) -> tuple[DictConfig, ISPModel, dict[str, Any]]:
    """The configuration, the model with its weights, and what the description says of it."""
    if weights:
        config, file = configuration_of(weights, overrides)
    else:
        if chosen(overrides, "model") is None:
            raise UserError("Say what to export: weights=PATH, or model=NAME for a network with fresh weights.")
        config, file = compose_run(overrides), None
        pl.seed_everything(config.seed, verbose=False)
    model: ISPModel = build(config.model)
    name = config.choices.model
    if file is not None:
        load_weights(model, file, name)
    options: Any = OmegaConf.to_container(config.model, resolve=True)
    about = {
        "model": name,
        "options": {key: value for key, value in options.items() if key != "_target_"},
        "weights": {"file": str(file.path), "hash": file.hash} if file else f"untrained, seed {config.seed}",
        "data": config.choices.data,
    }
    return config, model.eval(), about


def load_data(config: DictConfig) -> tuple[PairedDataModule, Protocol]:
    """The dataset and the protocol of a configuration."""
    for group in ("data", "protocol"):
        require_all(config[group])
    data: PairedDataModule = build(config.data)
    data.num_workers = config.num_workers
    data.prepare_data()
    return data, build(config.protocol)
