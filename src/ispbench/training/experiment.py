"""``python -m ispbench model=... data=...``: a training and its evaluation, each under a key of its own.

What was done before is not done again: one training serves any number of protocols, metrics and splits.
"""

import logging
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from ispbench.checkpoint_files import read
from ispbench.checkpoints import weights_file
from ispbench.config import build
from ispbench.console import warn
from ispbench.data.datamodule import PairedDataModule
from ispbench.errors import UserError
from ispbench.evaluation import configured
from ispbench.evaluation.report import report
from ispbench.files import write_atomically
from ispbench.models.interface import ISPModel
from ispbench.protocols.base import Protocol
from ispbench.results import store
from ispbench.results.claims import claim, folder_of, settled
from ispbench.results.commands import repeatable
from ispbench.results.records import EvaluationRecord
from ispbench.training import fit, signals
from ispbench.training.callbacks.images import ImageRows
from ispbench.training.loggers import finish
from ispbench.training.processes import filter_warnings, is_first_process, tell
from ispbench.training.trained import checkpoint_of


def run(config: DictConfig) -> float | None:
    """Trains and evaluates as configured, and writes both records.

    Args:
        config: The composed ``conf/config.yaml``, inside a Hydra job.

    Returns:
        The best validation score, for sweepers that optimize; None without a training.

    Raises:
        UserError: for what the user can mend.
        KeyboardInterrupt: if the user or SIGTERM stopped the run; its record and checkpoint are written.
    """
    filter_warnings()
    hydra = HydraConfig.get()
    with open_dict(config):
        config.choices = {key: hydra.runtime.choices[key] for key in ("model", "data")}
        config.command = repeatable(hydra.overrides.task)
    own_folder = Path(config.paths.run)
    with signals.sigterm_as_exception():
        data = fit.load_data(config)
        protocol: Protocol = build(config.protocol)
        grid = hydra.mode == RunMode.MULTIRUN
        model = _build(config, data, grid)
        trains = config.train and any(value.requires_grad for value in model.parameters())
        if config.resume not in ("auto", "never") and not trains:
            raise UserError("resume= continues a training, but train=false or the model has nothing to train.")
        try:
            if not config.test:
                return fit.train(config, data, keep_failure=grid).score if trains else None
            return _train_and_evaluate(config, data, protocol, model, trains, grid)
        finally:
            _discard(own_folder)


def _build(config: DictConfig, data: PairedDataModule, grid: bool) -> ISPModel:
    """The model; that one cannot be built is recorded for the cell of a grid."""
    pl.seed_everything(config.seed, workers=True, verbose=False)
    try:
        model: ISPModel = build(config.model)
    except Exception as error:
        if grid and is_first_process():
            record = fit.plan(config, data)
            record.status, record.error = "failed", str(error)
            store.save(Path(config.paths.results), record)
        raise
    return model


def _train_and_evaluate(
    config: DictConfig, data: PairedDataModule, protocol: Protocol, model: ISPModel, trains: bool, grid: bool
) -> float | None:
    training_key = fit.plan(config, data).key if trains else None
    weights = read(weights_file(config.weights)) if config.weights and not trains else None
    source = configured.Source(
        config.choices.model,
        config.choices.data,
        fit.variant(config, config.choices.model),
        config.seed if trains or weights is None else None,
        training_key,
        weights,
    )
    record = configured.plan(config, data, protocol, source)
    results, outputs = Path(config.paths.results), Path(config.paths.outputs).absolute()
    with claim(outputs, record.key) if is_first_process() else nullcontext(True) as free:
        if not free:
            tell(record, "another process is at work on it.")
            return None
        earlier = store.find(results, "evaluation", record.key)
        done = settled(earlier, config.overwrite)
        trained = fit.train(config, data, True, not done, grid) if trains else None
        if done and not (trained and trained.fresh):
            assert earlier is not None
            tell(record, f"{earlier['status']} before (record {earlier['id']}); overwrite=always runs it again.")
            return trained.score if trained else None
        if trained is None:
            _evaluate(record, config, data, protocol, source, model)
            return None
        status = "failed"
        try:
            checkpoint = checkpoint_of(trained, config.eval.checkpoint)
            if checkpoint is None:
                raise UserError(f"The training has written no checkpoint {config.eval.checkpoint}.ckpt to evaluate.")
            if checkpoint.path.stem != config.eval.checkpoint:
                scored, asked = checkpoint.path.stem, config.eval.checkpoint
                record.notes["checkpoint"] = f"{asked}.ckpt is damaged; {scored}.ckpt, the one before it, is scored"
                warn(f"{record.notes['checkpoint']}.")
            source = configured.Source(**{**vars(source), "weights": checkpoint})
            _evaluate(record, config, data, protocol, source, model)
            status = "finished"
        finally:
            finish(trained.loggers, status, {**record.metrics, **record.complexity})
        return trained.score


def _evaluate(
    record: EvaluationRecord,
    config: DictConfig,
    data: PairedDataModule,
    protocol: Protocol,
    source: configured.Source,
    model: ISPModel,
) -> None:
    folder = folder_of(Path(config.paths.outputs).absolute(), record.training_key or "") or Path(config.paths.run)
    rows = ImageRows()
    writes = is_first_process()
    configured.run(record, config, data, protocol, source, model, [rows.collect], writes)
    if writes:
        rows.write(folder / "images" / f"{record.split}.png")
        config_file = folder / "config.yaml"
        if not config_file.is_file():
            write_atomically(config_file, OmegaConf.to_yaml(config, resolve=True), "set paths.outputs")
        report(record, store.path_of(Path(config.paths.results), record), folder)


def _discard(folder: Path) -> None:
    """Removes the folder that Hydra made for a run which needed none of its own, and Hydra's log in it."""
    if not is_first_process() or not folder.is_dir():
        return
    if {path.name for path in folder.iterdir()} <= {".hydra", "ispbench.log"}:
        root = logging.getLogger()
        for handler in list(root.handlers):
            if isinstance(handler, logging.FileHandler) and Path(handler.baseFilename).parent == folder.resolve():
                root.removeHandler(handler)
                handler.close()
        shutil.rmtree(folder, ignore_errors=True)
