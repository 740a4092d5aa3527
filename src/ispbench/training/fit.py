"""A training from its configuration to its record: a run folder with checkpoints, curves and images."""

import time
import traceback
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf

from ispbench.checkpoint_files import Checkpoint, read
from ispbench.checkpoints import load_weights, newest_checkpoint, weights_file
from ispbench.config import build, default_of
from ispbench.data.datamodule import PairedDataModule
from ispbench.errors import UserError
from ispbench.files import hash_file, write_atomically
from ispbench.models.interface import ISPModel
from ispbench.protocols.base import ORIGINAL
from ispbench.protocols.training_targets import align_training
from ispbench.results import store
from ispbench.results.claims import claim, folder_of, remember_folder, settled
from ispbench.results.keys import canonical, key_of
from ispbench.results.records import TrainingRecord
from ispbench.training import signals
from ispbench.training.callbacks.checkpoints import Checkpoints
from ispbench.training.callbacks.curves import draw_curves, keep_log
from ispbench.training.callbacks.ema import EMA
from ispbench.training.callbacks.validation import ValidationScores
from ispbench.training.checkpoint_io import SafeCheckpointIO
from ispbench.training.identity import training_identity
from ispbench.training.loggers import finish
from ispbench.training.module import ISPModule
from ispbench.training.processes import is_first_process, tell
from ispbench.training.resuming import ForeignState, in_restoring
from ispbench.training.trained import Trained, checkpoint_of


def load_data(config: DictConfig) -> PairedDataModule:
    """The dataset of a configuration, prepared, with the run's seed and loader processes."""
    data: PairedDataModule = build(config.data)
    data.seed = config.seed
    data.num_workers = config.num_workers
    data.prepare_data()
    return data


def variant(config: DictConfig, name: str) -> str:
    """The settings of a model that differ from its default, such as ``num_bases=4 width=16``."""
    settings = canonical(OmegaConf.to_container(config.model, resolve=True))
    default = canonical(default_of("model", name))
    changed = {key: value for key, value in settings.items() if key not in default or default[key] != value}
    return " ".join(f"{key}={value}" for key, value in sorted(changed.items()))


def plan(config: DictConfig, data: PairedDataModule) -> TrainingRecord:
    """The record of a training that is to be made, with its key.

    Args:
        config: The composed configuration, with the names of its choices under ``choices``.
        data: Its dataset.
    """
    identity = training_identity(config, data)
    return TrainingRecord(
        key=key_of(identity),
        model=config.choices.model,
        dataset=config.choices.data,
        variant=variant(config, config.choices.model),
        seed=config.seed,
        config=identity,
        notes=dict(data.notes),
    )


def train(
    config: DictConfig,
    data: PairedDataModule,
    wait: bool = False,
    needs_checkpoint: bool = False,
    keep_failure: bool = False,
) -> Trained:
    """Trains as configured, unless that was done before; goes on where it broke off.

    Args:
        config: The composed configuration, with the names of its choices under ``choices``.
        data: Its dataset, from `load_data`.
        wait: Whether to wait where another process is at work on the same training.
        needs_checkpoint: Whether to train again where a finished training has lost its checkpoint.
        keep_failure: Whether a mistake that shows before the first step leaves a record, as the cell of a grid does.

    Raises:
        UserError: for what the user can mend.
        KeyboardInterrupt: if the user or SIGTERM stopped it; its record and a checkpoint are written.
    """
    record = plan(config, data)
    results, outputs = Path(config.paths.results), Path(config.paths.outputs).absolute()
    first = is_first_process()
    with claim(outputs, record.key, wait) if first else nullcontext(True) as free:
        earlier = store.find(results, "training", record.key)
        if not free:
            tell(record, "another process is at work on it.")
            return Trained(earlier or {"training": {}}, None)
        folder = folder_of(outputs, record.key)
        if earlier and settled(earlier, config.overwrite):
            done = Trained(earlier, folder)
            if not needs_checkpoint or checkpoint_of(done, config.eval.checkpoint):
                tell(record, f"{earlier['status']} before (record {earlier['id']}); overwrite=always trains it again.")
                return done
            tell(record, "finished before, but its checkpoints are gone or damaged; it is trained again.")
        if earlier and earlier["status"] != "finished" and config.overwrite != "always":
            record.training["wall_time_s"] = earlier["training"].get("wall_time_s", 0)
        return _Fit(config, data, record, folder, keep_failure).run()


class _Fit:
    """One training.

    Args:
        config: The configuration.
        data: The dataset.
        record: To be completed.
        unfinished: The folder of an earlier attempt; None if there is none.
        keep_failure: See `train`.
    """

    def __init__(
        self,
        config: DictConfig,
        data: PairedDataModule,
        record: TrainingRecord,
        unfinished: Path | None,
        keep_failure: bool,
    ) -> None:
        self._keep_failure = keep_failure
        self.config, self.data, self.record = config, data, record
        self.folder = Path(config.paths.run)
        self.results = Path(config.paths.results)
        self.trainer: pl.Trainer | None = None
        self._step = 0
        self._foreign: ForeignState | None = None
        self._resume = self._find_checkpoint(unfinished)

    def run(self) -> Trained:
        started, before = time.perf_counter(), self.record.training.get("wall_time_s", 0)
        try:
            self._build()
            self._open_folder()
            self._fit()
            self.record.status = "finished"
        except (KeyboardInterrupt, SystemExit) as stop:
            self.record.status = "interrupted"
            self.record.error = f"{signals.name(stop)} at step {self._step}"
            raise
        except BaseException as error:
            self.record.status = "failed"
            self.record.error = str(error) if isinstance(error, UserError) else traceback.format_exc()
            raise
        finally:
            seconds = before + time.perf_counter() - started
            self.record.training |= {"wall_time_s": round(seconds, 1), "steps": self._step}
            self.record.data["skipped"] = sum(self.data.skipped.values())
            if is_first_process() and (self.trainer is not None or self._keep_failure):
                store.save(self.results, self.record)
            if self.record.status != "finished":
                finish(self._loggers, self.record.status, {})
        return Trained(store.as_dict(self.record), self.folder, True, tuple(self._loggers))

    @property
    def _loggers(self) -> list[Any]:
        return self.trainer.loggers if self.trainer else []

    def _find_checkpoint(self, unfinished: Path | None) -> Checkpoint | None:
        """Where the training begins: at what this very training left, at a given checkpoint, or afresh (None)."""
        if self.config.resume == "never":
            return None
        if unfinished is not None and self.config.overwrite != "always":
            checkpoint = newest_checkpoint(unfinished, required=False)
            if checkpoint is not None:
                self.folder = unfinished
                self.config.paths.run = str(unfinished)
                tell(self.record, f"goes on from {checkpoint.path}; resume=never begins afresh.")
                return checkpoint
        if self.config.resume == "auto":
            return None
        checkpoint = newest_checkpoint(Path(self.config.resume))
        assert checkpoint is not None
        if checkpoint.hash != self.record.config["resume"]:
            raise UserError(f"{checkpoint.path} has changed while the training was prepared; start it again.")
        self._foreign = ForeignState(checkpoint)
        return checkpoint

    def _build(self) -> None:
        config, name = self.config, self.record.model
        align_training(self.data, build(config.protocol))
        if self.data.targets != ORIGINAL:
            if config.get("alignment"):
                raise UserError(f"alignment aligns the targets itself; leave data.targets={self.data.targets} out.")
            self.record.notes |= self.data.notes
        pl.seed_everything(config.seed, workers=True, verbose=False)
        model: ISPModel = build(config.model)
        model.set_levels(self.data.black_level, self.data.white_level)
        if config.weights:
            load_weights(model, read(weights_file(config.weights), self.record.config["weights"]), name)
        if self._resume:
            load_weights(model, self._resume, name)
        self.module = ISPModule(
            model,
            loss=build(config.loss),
            optimizer=build(config.optimizer),
            scheduler=build(config.scheduler),
            alignment=build(config.alignment) if config.get("alignment") else None,
            compile=config.compile,
            about={
                "model": name,
                "options": _options(config.model),
                "training": self.record.key,
                "seed": config.seed,
                "variant": self.record.variant,
            },
        )
        callbacks = members(config.callbacks)
        if self._foreign:
            callbacks.append(self._foreign)
        options: Any = OmegaConf.to_container(config.trainer, resolve=True)
        validate_every = min(options["val_check_interval"], options["max_steps"])
        options["val_check_interval"] = validate_every * options["accumulate_grad_batches"]  # Lightning counts batches
        bars = any(isinstance(callback, pl.callbacks.ProgressBar) for callback in callbacks)
        options.setdefault("enable_progress_bar", bars)  # else Lightning adds a bar of its own
        if "fsdp" in str(options["strategy"]).lower() and any(isinstance(callback, EMA) for callback in callbacks):
            raise UserError(
                "No average is kept of weights divided among devices; leave callbacks=ema out or set trainer=ddp."
            )
        plugins = [build(plugin) for plugin in options.pop("plugins", None) or ()]
        trainer: pl.Trainer = build(
            options,
            plugins=[SafeCheckpointIO(self._resume), *plugins],
            # The scores come first: the checkpoints are chosen by them.
            callbacks=[ValidationScores(config.metrics.validation, config.metrics.extra), *callbacks],
            logger=members(config.logger) or False,
            default_root_dir=str(self.folder),
        )
        self.data.share(trainer.world_size, trainer.accumulate_grad_batches)
        self.trainer = trainer

    def _open_folder(self) -> None:
        if not is_first_process():
            return
        write_atomically(self.folder / "config.yaml", OmegaConf.to_yaml(self.config, resolve=True))
        store.save(self.results, self.record)
        remember_folder(Path(self.config.paths.outputs).absolute(), self.record.key, self.folder.absolute())
        keep_log(self.folder)

    def _fit(self) -> None:
        trainer = self.trainer
        assert trainer is not None
        identity = {"training_key": self.record.key, "commit": self.record.git.get("commit")}
        for logger in self._loggers:
            logger.log_hyperparams({**self.record.config, **identity})
        start = None if self._resume is None else str(self._resume.path)
        try:
            trainer.fit(self.module, datamodule=self.data, ckpt_path=start, weights_only=True)
        except SystemExit as stop:
            raise signals.interruption(stop) from stop
        except Exception as error:
            if isinstance(error, UserError) or not in_restoring(error):
                raise
            raise UserError(f"The state in {start} does not fit this training; set resume=never.") from error
        finally:
            self._step = trainer.global_step
            if is_first_process():
                draw_curves(self.folder)
        settings = trainer.optimizers[0].param_groups[0]
        self.record.training |= {
            "resumed": self._resume is not None,
            "precision": str(trainer.precision),
            "devices": f"{trainer.world_size} x {trainer.strategy.root_device.type}",
            "learning_rate": settings.get("initial_lr", settings["lr"]),  # that of a checkpoint, if one was resumed
        }
        if self._foreign and self._foreign.note:
            self.record.notes["resume"] = self._foreign.note
        keeper = next((item for item in trainer.checkpoint_callbacks if isinstance(item, Checkpoints)), None)
        if keeper is not None and keeper.best_model_score is not None:
            self.record.training["val_psnr"] = keeper.best_model_score.item()
        if is_first_process():
            files = sorted((self.folder / "checkpoints").glob("*.ckpt"))
            self.record.training["checkpoints"] = {path.stem: hash_file(path) for path in files}


def members(group: DictConfig | None) -> list[Any]:
    """Instantiates the members of a configuration group that are not null."""
    return [build(member) for member in (group or {}).values() if member is not None]


def _options(model: DictConfig) -> dict[str, Any]:
    settings: Any = OmegaConf.to_container(model, resolve=True)
    return {key: value for key, value in settings.items() if not key.startswith("_")}
