"""One run from its configuration to its record: train, test, write down."""

import shutil
import time
import traceback
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from ispbench.checkpoints import load_weights, newest_checkpoint
from ispbench.data.datamodule import PairedDataModule
from ispbench.errors import UserError
from ispbench.files import hash_file, write_atomically
from ispbench.metrics.callbacks import ComplexityCallback, LatencyCallback, MetricCallback, QualityCallback
from ispbench.models.build import build_model
from ispbench.models.interface import ISPModel
from ispbench.protocols.base import full_name
from ispbench.results.cells import Cell, key
from ispbench.training import signals
from ispbench.training.callbacks.checkpoints import Checkpoints
from ispbench.training.callbacks.curves import draw_curves, keep_log
from ispbench.training.callbacks.ema import EMA
from ispbench.training.console import is_first_process, quieten, report, tell
from ispbench.training.identity import evaluation, new_record
from ispbench.training.loggers import finish
from ispbench.training.module import ISPModule


def run(config: DictConfig) -> float | None:
    """Trains and tests as configured and writes the run's record.

    A cell that is done, see ``overwrite``, or that another process works on is left alone; one that broke off goes on,
    see ``resume``.

    Args:
        config: The composed ``conf/config.yaml``, inside a Hydra job.

    Returns:
        The best validation PSNR, for sweepers that optimise; None without a training.

    Raises:
        UserError: for what the user can mend.
        KeyboardInterrupt: if the user or SIGTERM stopped the run; its record and checkpoint are written.
    """
    quieten()
    parts = _Run(config)
    parts.open()
    cell = Cell(Path(config.paths.outputs).absolute(), parts.results, parts.record.cell)
    claim = cell.claim() if is_first_process() else nullcontext(True)
    with signals.polite_termination(), claim as free:
        if not free:
            tell(parts.record, "another process is at work on it.")
            _discard(parts.folder)
            return None
        if earlier := cell.done(config.overwrite):
            tell(parts.record, f"{earlier['status']} before (record {earlier['id']}); overwrite=always runs it again.")
            _discard(parts.folder)
            score: float | None = earlier["training"].get("val_psnr")
            return score
        return _carry_out(parts, cell)


def _carry_out(parts: "_Run", cell: Cell) -> float | None:
    record, started = parts.record, time.perf_counter()
    try:
        parts.find_checkpoint(cell)
        parts.build()
        if is_first_process():
            write_atomically(parts.folder / "config.yaml", OmegaConf.to_yaml(parts.config, resolve=True))
            record.save(parts.results)
            cell.begin(record.id, parts.folder)
        best = parts.execute()
        record.status = "finished"
    except (KeyboardInterrupt, SystemExit) as stop:
        record.status = "interrupted"
        record.error = f"{signals.name(stop)} at step {parts.step}"
        raise
    except BaseException as error:
        record.status = "failed"
        record.error = str(error) if isinstance(error, UserError) else traceback.format_exc()
        raise
    finally:
        # A mistake in a single configuration is no run; a grid keeps account of all its cells.
        if is_first_process() and (parts.trainer is not None or HydraConfig.get().mode == RunMode.MULTIRUN):
            record.data["skipped"] = sum(parts.data.skipped.values())
            seconds = record.training.get("wall_time_s", 0) + time.perf_counter() - started
            record.training |= {"wall_time_s": round(seconds, 1), "steps": parts.step}
            path = record.save(parts.results)
            if parts.scores is not None:
                write_atomically(path.with_suffix(".scores.csv"), parts.scores.to_csv(index=False))
            if record.status == "finished":
                cell.finish(record.id)
            finish(parts.loggers, record.status, {**record.metrics, **record.complexity})
    if is_first_process():
        report(record, path, parts.folder)
    return best


class _Run:
    """The parts of a run, built from its configuration."""

    def __init__(self, config: DictConfig) -> None:
        self.config = config
        self.results = Path(config.paths.results) / "runs"
        self.record = new_record(config)
        self.scores: Any = None
        self.trainer: pl.Trainer | None = None
        self.resume: Path | None = None
        self._steps = 0

    @property
    def folder(self) -> Path:
        return Path(self.config.paths.run)

    @property
    def loggers(self) -> list[Any]:
        return self.trainer.loggers if self.trainer else []

    @property
    def step(self) -> int:
        return max(self._steps, self.trainer.global_step if self.trainer else 0)

    def open(self) -> None:
        """The data and the protocol, hence which cell this is."""
        config, record = self.config, self.record
        pl.seed_everything(config.seed, workers=True, verbose=False)
        self.data: PairedDataModule = instantiate(config.data)
        self.data.seed, self.data.num_workers = config.seed, config.num_workers
        self.data.prepare_data()
        self.protocol = instantiate(config.protocol)
        record.simulated = self.data.simulated
        record.protocol = full_name(self.data, self.protocol)
        record.data = {
            "fingerprint": self.data.fingerprint(),
            "split": "test",
            "n_images": len(self.data.source("test")),
        }
        record.cell = key(record.config_hash, record.data["fingerprint"])
        record.notes |= self.data.notes

    def find_checkpoint(self, cell: Cell) -> None:
        """Decides where the training begins: afresh, at a given checkpoint, or where this cell broke off."""
        resume = self.config.resume
        if resume in ("never", None):
            return
        if resume != "auto":
            self.resume = newest_checkpoint(Path(resume))
            return
        if (unfinished := cell.unfinished()) and (checkpoint := newest_checkpoint(unfinished[1], required=False)):
            _discard(self.folder)
            self.record.id, self.config.paths.run = unfinished[0], str(unfinished[1])
            earlier = next((record for record in cell.records() if record["id"] == self.record.id), {})
            self.record.training["wall_time_s"] = earlier.get("training", {}).get("wall_time_s", 0)
            self.resume = checkpoint
            tell(self.record, f"goes on from {checkpoint}; resume=never begins afresh.")

    def build(self) -> None:
        config, record = self.config, self.record
        if config.test:
            record.data |= self.protocol.prepare(self.data)
        pl.seed_everything(config.seed, workers=True, verbose=False)
        model = instantiate(config.model)
        model.set_levels(self.data.black_level, self.data.white_level)
        if config.weights:
            load_weights(model, config.weights, record.model)
        self.train = config.train and any(value.requires_grad for value in model.parameters())
        if self.resume and not self.train:
            raise UserError("resume= continues a training, but train=false or the model has nothing to train.")
        if self.resume:
            load_weights(model, self.resume, record.model)
        self.tested = evaluation(config).wrap(model, self._other_model)
        self.module = ISPModule(
            model,
            loss=instantiate(config.loss) if self.train else None,
            optimizer=instantiate(config.optimizer) if self.train else None,
            scheduler=instantiate(config.scheduler) if self.train else None,
            compile=config.compile,
        )
        callbacks = _some(config.callbacks, without=() if self.train else ("ema", "stop", "checkpoints"))
        self.measures = _some(config.metrics)
        for measure in self.measures:
            if isinstance(measure, QualityCallback):
                measure.protocol = self.protocol
        options: Any = OmegaConf.to_container(config.trainer, resolve=True)
        validate_every = min(options["val_check_interval"], options["max_steps"])
        options["val_check_interval"] = validate_every * options["accumulate_grad_batches"]  # Lightning counts batches
        options.setdefault(
            "enable_progress_bar", any(isinstance(callback, pl.callbacks.ProgressBar) for callback in callbacks)
        )
        if "fsdp" in str(options["strategy"]).lower() and any(isinstance(callback, EMA) for callback in callbacks):
            raise UserError(
                "No average is kept of weights divided among devices; leave callbacks=ema out or set trainer=ddp."
            )
        trainer: pl.Trainer = instantiate(
            options,
            callbacks=[*callbacks, *self.measures],
            logger=(_some(config.logger) if self.train else []) or False,
            default_root_dir=str(self.folder),
        )
        if self.train:
            self.data.share(trainer.world_size, trainer.accumulate_grad_batches)
        self.trainer = trainer

    def execute(self) -> float | None:
        best = self._fit() if self.train else None
        if self.config.test:
            self._test()
        return best

    def _fit(self) -> float | None:
        assert self.trainer is not None
        identity = {"config_hash": self.record.config_hash, "commit": self.record.git.get("commit")}
        for logger in self.loggers:
            logger.log_hyperparams({**self.record.config, **identity})
        if is_first_process():
            keep_log(self.folder)
        try:
            self.trainer.fit(self.module, datamodule=self.data, ckpt_path=self.resume, weights_only=False)
        except SystemExit as stop:
            raise signals.interruption(stop) from stop
        finally:
            self._steps = self.trainer.global_step
            if is_first_process():
                draw_curves(self.folder)
        checkpoints = self.trainer.checkpoint_callback
        if not isinstance(checkpoints, Checkpoints) or not checkpoints.best_model_path:
            return None
        best = Path(checkpoints.best_model_path)
        assert checkpoints.best_model_score is not None
        score = checkpoints.best_model_score.item()
        self.record.training |= {
            "val_psnr": score,
            "checkpoint_hash": hash_file(best),
            "resumed": self.resume is not None,
        }
        load_weights(self.module.model, best, self.record.model)
        return score

    def _other_model(self, name: str, path: str) -> ISPModel:
        """A further model of an ensemble, for the same sensor as the run's own."""
        model = build_model(name)
        model.set_levels(self.data.black_level, self.data.white_level)
        load_weights(model, path, name)
        self.record.training.setdefault("averaged_with", {})[name] = hash_file(Path(path))
        return model

    def _test(self) -> None:
        assert self.trainer is not None
        self.module.model = self.tested
        try:
            self.trainer.test(self.module, datamodule=self.data, verbose=False)
        except SystemExit as stop:
            raise signals.interruption(stop) from stop
        sections = {
            QualityCallback: self.record.metrics,
            ComplexityCallback: self.record.complexity,
            LatencyCallback: self.record.efficiency,
        }
        for measure in self.measures:
            if isinstance(measure, MetricCallback):
                sections[type(measure)].update(measure.results)
                self.record.notes |= measure.notes
            if isinstance(measure, QualityCallback):
                self.scores = measure.scores


def _some(group: DictConfig | None, without: tuple[str, ...] = ()) -> list[Any]:
    """Instantiates the members of a configuration group that are not null."""
    return [instantiate(member) for name, member in (group or {}).items() if member is not None and name not in without]


def _discard(folder: Path) -> None:
    """Removes the folder that Hydra made for a run which needs none of its own."""
    if is_first_process() and {path.name for path in folder.iterdir()} <= {".hydra", "ispbench.log"}:
        shutil.rmtree(folder, ignore_errors=True)
