"""One run from its configuration to its record: train, test, write down."""

import datetime
import logging
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from ispbench.checkpoints import load_weights
from ispbench.data.module import PairedDataModule
from ispbench.errors import UserError
from ispbench.metrics.callbacks import ComplexityCallback, LatencyCallback, MetricCallback, QualityCallback
from ispbench.models.build import build_model
from ispbench.models.ensemble import Evaluation
from ispbench.models.interface import ISPModel
from ispbench.protocol.base import full_name
from ispbench.results.record import Record, hash_file, write_atomically
from ispbench.training.callbacks import Checkpoints, draw_curves
from ispbench.training.module import ISPModule

# What of a configuration decides the numbers; the rest is where things lie and how they are shown.
_RECIPE = (
    "model",
    "data",
    "loss",
    "optimizer",
    "scheduler",
    "trainer",
    "metrics",
    "protocol",
    "seed",
    "train",
    "compile",
    "weights",
)
# Callbacks that change what is trained or tested, where a recipe has them.
_CHANGES = ("levels", "deploy")
_PLACES = ("root", "cache", "num_workers", "pack")


def run(config: DictConfig) -> float | None:
    """Trains and tests as configured and writes the run's record.

    Args:
        config: The composed ``conf/config.yaml``, inside a Hydra job.

    Returns:
        The best validation PSNR, for sweepers that optimise; None without a training.

    Raises:
        UserError: for what the user can mend.
        KeyboardInterrupt: if the user stopped the run; its record and checkpoint are written.
    """
    _quieten()
    started = time.perf_counter()
    folder = Path(config.paths.run)
    parts = _Run(config, folder, _new_record(config))
    record = parts.record
    try:
        parts.build()
        write_atomically(folder / "config.yaml", OmegaConf.to_yaml(config, resolve=True))
        record.save(parts.results)
        best = parts.execute()
        record.status = "finished"
    except KeyboardInterrupt:
        record.status = "interrupted"
        record.error = f"interrupted by the user at step {parts.step}"
        raise
    except BaseException as error:
        record.status = "failed"
        record.error = str(error) if isinstance(error, UserError) else traceback.format_exc()
        raise
    finally:
        # A mistake in the configuration is no run: nothing is recorded before the parts are built.
        if parts.trainer is not None:
            record.data["skipped"] = sum(parts.data.skipped.values())
            record.training |= {"wall_time_s": round(time.perf_counter() - started, 1), "steps": parts.step}
            path = record.save(parts.results)
            if parts.scores is not None:
                write_atomically(path.with_suffix(".scores.csv"), parts.scores.to_csv(index=False))
            _finish_loggers(record)
    _report(record, path, folder)
    return best


class _Run:
    """The parts of a run, built from its configuration."""

    def __init__(self, config: DictConfig, folder: Path, record: Record) -> None:
        self.config = config
        self.folder = folder
        self.results = Path(config.paths.results) / "runs"
        self.record = record
        self.scores: Any = None
        self.trainer: pl.Trainer | None = None
        self._steps = 0

    @property
    def step(self) -> int:
        return max(self._steps, self.trainer.global_step if self.trainer else 0)

    def build(self) -> None:
        config, record = self.config, self.record
        pl.seed_everything(config.seed, workers=True, verbose=False)
        self.data: PairedDataModule = instantiate(config.data)
        self.data.prepare_data()
        record.simulated = self.data.simulated
        protocol = instantiate(config.protocol)
        record.protocol = full_name(self.data, protocol)
        record.data = {
            "fingerprint": self.data.fingerprint(),
            "split": "test",
            "n_images": len(self.data.source("test")),
        }
        record.notes |= self.data.notes
        if config.test:
            record.data |= protocol.prepare(self.data)
        model = instantiate(config.model)
        if config.weights:
            load_weights(model, config.weights, record.model)
        self.train = config.train and any(value.requires_grad for value in model.parameters())
        if config.resume and not self.train:
            raise UserError("resume= continues a training, but train=false or the model has nothing to train.")
        self.resume = _resume_from(config.resume, model, record.model)
        self.tested = _evaluation(config).wrap(model, self._other_model)
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
                measure.protocol = protocol
        options = dict(config.trainer)
        options["val_check_interval"] = min(options["val_check_interval"], options["max_steps"])
        self.trainer = instantiate(
            options,
            callbacks=[*callbacks, *self.measures],
            logger=(_some(config.logger) if self.train else []) or False,
            default_root_dir=str(self.folder),
        )

    def execute(self) -> float | None:
        best = self._fit() if self.train else None
        if self.config.test:
            self._test()
        return best

    def _fit(self) -> float | None:
        assert self.trainer is not None
        for logger in self.trainer.loggers:
            logger.log_hyperparams({**self.record.config, "config_hash": self.record.config_hash})
        try:
            self.trainer.fit(self.module, datamodule=self.data, ckpt_path=self.resume, weights_only=False)
        except SystemExit as stop:
            raise KeyboardInterrupt from stop  # Lightning's way to end after Ctrl-C
        finally:
            self._steps = self.trainer.global_step
            if (self.folder / "metrics.csv").is_file():
                draw_curves(self.folder / "metrics.csv", self.folder / "curves.png")
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
        levels = [f"data.{key}={self.config.data[key]}" for key in ("black_level", "white_level")]
        model = build_model(name, levels, data=self.record.dataset)
        load_weights(model, path, name)
        self.record.training.setdefault("averaged_with", {})[name] = hash_file(Path(path))
        return model

    def _test(self) -> None:
        assert self.trainer is not None
        self.module.model = self.tested
        try:
            self.trainer.test(self.module, datamodule=self.data, verbose=False)
        except SystemExit as stop:
            raise KeyboardInterrupt from stop
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


def _new_record(config: DictConfig) -> Record:
    hydra = HydraConfig.get()
    overrides = [item for item in hydra.overrides.task if item.lstrip("+").startswith("model.")]
    resolved = OmegaConf.to_container(config, resolve=True)
    assert isinstance(resolved, dict)
    recipe = {key: resolved[key] for key in _RECIPE}
    recipe["data"] = {key: value for key, value in recipe["data"].items() if key not in _PLACES}
    recipe["protocol"].pop("cache", None)
    recipe["ema"] = resolved["callbacks"]["ema"]
    recipe |= {name: options for name in _CHANGES if (options := resolved["callbacks"].get(name))}
    variant = [item.lstrip("+").removeprefix("model.") for item in overrides]
    if ensemble := str(_evaluation(config)):
        recipe["eval"] = ensemble
        variant.append(ensemble)
    choices = hydra.runtime.choices
    started = datetime.datetime.now(datetime.UTC)
    return Record(
        id=f"{started:%Y%m%d-%H%M%S-%f}-{choices['model']}-{choices['data']}-s{config.seed}",
        model=choices["model"],
        variant=" ".join(sorted(variant)),
        dataset=choices["data"],
        protocol="",
        seed=config.seed,
        config=recipe,
    )


def _evaluation(config: DictConfig) -> Evaluation:
    """How the model is tested: ``eval:`` of the configuration."""
    return Evaluation(**{str(name): value for name, value in config.eval.items()})


def _some(group: DictConfig | None, without: tuple[str, ...] = ()) -> list[Any]:
    """Instantiates the members of a configuration group that are not null."""
    return [instantiate(member) for name, member in (group or {}).items() if member is not None and name not in without]


def _resume_from(source: str | None, model: ISPModel, name: str) -> Path | None:
    """The checkpoint to continue from, after a check that it is of this model."""
    if not source:
        return None
    path = Path(source)
    if path.is_dir():
        path = path / "checkpoints" / "last.ckpt"
    load_weights(model, path, name)
    return path


def _quieten() -> None:
    """Leaves out advice of libraries that has no meaning for the user of a configured run."""
    for message in (
        ".*does not have many workers.*",
        ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*number of training batches.*smaller than the logging interval.*",
        ".*Found .* module\\(s\\) in eval mode.*",
        ".*The `srun` command is available.*",
        ".*Experiment logs directory .* exists and is not empty.*",
    ):
        warnings.filterwarnings("ignore", message)
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)


def _finish_loggers(record: Record) -> None:
    """Closes a W&B run with the final scores in its summary."""
    import sys

    wandb = sys.modules.get("wandb")
    if wandb is not None and wandb.run is not None:
        wandb.run.summary.update({"status": record.status, **record.metrics, **record.complexity})
        wandb.finish(exit_code=0 if record.status == "finished" else 1)


def _report(record: Record, path: Path, folder: Path) -> None:
    console = Console()
    scores = "  ".join(
        f"{name} {value:.4g}" for name, value in record.metrics.items() if name in ("psnr", "ssim", "lpips")
    )
    console.print(
        f"[bold]{record.model}[/] {record.variant} on {record.protocol}: {scores or 'not tested'}",
        highlight=False,
    )
    console.print(f"record {path}\nfolder {folder}", highlight=False, soft_wrap=True)
