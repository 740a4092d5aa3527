"""Weights & Biases, online when the user is logged in and offline otherwise."""

import os
from collections.abc import Sequence
from typing import Any

from pytorch_lightning.loggers import WandbLogger

from ispbench.errors import UserError


def wandb_logger(
    project: str,
    entity: str | None,
    group: str | None,
    tags: Sequence[str],
    mode: str,
    folder: str,
    **options: Any,
) -> WandbLogger:
    """Makes the logger.

    Args:
        project: W&B project.
        entity: User or team; None for the user's default.
        group: Groups the runs of a grid.
        tags: Of the run.
        mode: ``auto`` (online if an API key is configured, else offline), ``online`` or ``offline``.
        folder: Where the files are kept, also those to upload later with ``wandb sync``.
        **options: Passed to `wandb.init`.
    """
    if mode not in ("auto", "online", "offline"):
        raise UserError(f"logger.wandb.mode is auto, online or offline, not {mode!r}.")
    import wandb

    offline = mode == "offline" or (mode == "auto" and not wandb.api.api_key)
    if offline:
        os.environ["WANDB_SILENT"] = "true"
    return WandbLogger(
        project=project,
        entity=entity,
        group=group,
        tags=list(tags),
        save_dir=folder,
        offline=offline,
        **options,
    )
