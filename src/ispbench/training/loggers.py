"""Where runs are tracked: Weights & Biases, MLflow, TensorBoard."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from pytorch_lightning.callbacks import Checkpoint, ModelCheckpoint
from pytorch_lightning.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from pytorch_lightning.loggers.logger import rank_zero_experiment
from pytorch_lightning.utilities import rank_zero_only

from ispbench.errors import UserError
from ispbench.metrics.table import TABLE

# Which value of a metric stands in the summary of a run.
SUMMARIES = {f"val/{name}": "max" if metric.higher_is_better else "min" for name, metric in TABLE.items()}
SUMMARIES |= {"train/loss": "min"}


def logged_in() -> bool:
    """Whether W&B knows an account here; asks neither the user nor the server."""
    import wandb

    return wandb.login(prompt=False, verify=False)


class Wandb(WandbLogger):
    """Lightning's logger, with the best value of a metric as its summary and only the best checkpoint as the artifact.

    Args:
        keep_model: Whether the best checkpoint is kept as an artifact of the run.
        **options: Of Lightning's logger and of `wandb.init`.
    """

    def __init__(self, keep_model: bool, **options: Any) -> None:
        super().__init__(**options)
        self._wandb_init.pop("anonymous")  # wandb warns of it, also of None
        self._keep_model = keep_model
        self._checkpoints: ModelCheckpoint | None = None

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The W&B run."""
        new = self._experiment is None
        run = super().experiment
        if new:
            for name, summary in SUMMARIES.items():
                run.define_metric(name, step_metric="trainer/global_step", summary=summary)
        return run

    def after_save_checkpoint(self, checkpoint_callback: Checkpoint) -> None:
        """Remembers where the best checkpoint is."""
        if self._keep_model and isinstance(checkpoint_callback, ModelCheckpoint):
            self._checkpoints = checkpoint_callback

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Keeps the best checkpoint once training is through."""
        if status != "success" or self._checkpoints is None:
            return
        import wandb

        best, self._checkpoints = self._checkpoints, None
        assert best.best_model_score is not None
        metadata = {str(best.monitor): best.best_model_score.item()}
        artifact = wandb.Artifact(f"model-{self.experiment.id}", type="model", metadata=metadata)
        artifact.add_file(best.best_model_path, name="model.ckpt", policy="immutable")  # no copy of it
        self.experiment.log_artifact(artifact, aliases=["best"])

    @rank_zero_only
    def close(self, status: str, scores: Mapping[str, Any]) -> None:
        """Ends the W&B run, if it was begun, with the final scores in its summary."""
        if self._experiment is not None:
            self.experiment.summary.update({"status": status, **scores})
            self.experiment.finish(exit_code=0 if status == "finished" else 1)
            self._experiment = None


class MLflow(MLFlowLogger):
    """Lightning's logger, with images."""

    @rank_zero_only
    def log_image(self, key: str, images: Sequence[np.ndarray], step: int | None = None, **_: Any) -> None:
        """Logs images (H, W, 3), uint8."""
        for image in images:
            self.experiment.log_image(self.run_id, image, key=key, step=step or 0)

    @rank_zero_only
    def close(self, status: str, scores: Mapping[str, Any]) -> None:
        """Ends the MLflow run, if it was begun, with the final scores."""
        if self._initialized:
            self.log_metrics({name: value for name, value in scores.items() if isinstance(value, int | float)})
            state = {"finished": "FINISHED", "interrupted": "KILLED"}.get(status, "FAILED")
            self.experiment.set_terminated(self.run_id, state)


def wandb_logger(
    project: str,
    entity: str | None,
    group: str | None,
    tags: Sequence[str | None],
    name: str | None,
    mode: str,
    log_model: bool,
    folder: str,
    **options: Any,
) -> Wandb:
    """Makes the logger.

    Args:
        project: W&B project.
        entity: User or team; None for the user's default.
        group: Groups the runs of a grid.
        tags: Of the run; None among them is left out.
        name: Of the run; None for one that W&B makes up.
        mode: ``auto`` (as WANDB_MODE says, else online if there is an account, else offline), ``online`` or
            ``offline``.
        log_model: Whether the best checkpoint is kept as an artifact.
        folder: Where the files are kept, also those to upload later with ``ispbench sync``.
        **options: Passed to `wandb.init`.
    """
    if mode not in ("auto", "online", "offline"):
        raise UserError(f"logger.wandb.mode is auto, online or offline, not {mode!r}.")
    import wandb

    if mode == "auto":
        mode = os.environ.get("WANDB_MODE") or ("online" if logged_in() else "offline")
    elif mode == "online" and not logged_in():
        raise UserError("W&B knows no account here; run `wandb login` once, or set logger.wandb.mode=offline.")
    return Wandb(
        keep_model=log_model,
        project=project,
        entity=entity,
        group=group,
        tags=[tag for tag in tags if tag],
        name=name,
        save_dir=folder,
        mode=mode,
        settings=wandb.Settings(silent=mode != "online"),
        **options,
    )


def mlflow_logger(
    experiment: str, tracking_uri: str, folder: str, tags: Mapping[str, str | None], **options: Any
) -> MLflow:
    """Makes the logger.

    Args:
        experiment: Name of the MLflow experiment.
        tracking_uri: A server or a database.
        folder: Where images and models are kept, where no server keeps them.
        tags: Of the run; those that are None are left out.
        **options: Of Lightning's logger, such as ``run_name`` and ``log_model``.
    """
    try:
        from mlflow import MlflowClient
    except ModuleNotFoundError as error:
        raise UserError('logger=mlflow needs MLflow: pip install "ispbench[mlflow]".') from error

    Path(folder).mkdir(parents=True, exist_ok=True)
    with FileLock(Path(folder) / ".lock"):  # the cells of a grid make the database only once
        client = MlflowClient(tracking_uri)
        if client.get_experiment_by_name(experiment) is None:
            client.create_experiment(experiment, None if tracking_uri.startswith("http") else folder)
    given = {name: tag for name, tag in tags.items() if tag}
    return MLflow(experiment, tracking_uri=tracking_uri, tags=given, **options)


def tensorboard_logger(**options: Any) -> TensorBoardLogger:
    """Makes Lightning's logger."""
    try:
        return TensorBoardLogger(**options)
    except ModuleNotFoundError as error:
        raise UserError("logger=tensorboard needs TensorBoard: pip install tensorboard.") from error


def finish(loggers: Iterable[Logger], status: str, scores: Mapping[str, Any]) -> None:
    """Ends what the loggers began.

    Args:
        loggers: Of the trainer.
        status: Of the run's record.
        scores: Final ones.
    """
    for logger in loggers:
        if isinstance(logger, Wandb | MLflow):
            logger.close(status, scores)
