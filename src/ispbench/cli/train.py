"""A training, or a grid of them, from overrides of the configuration."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ispbench.console import warn
from ispbench.errors import UserError, mistake_in

if TYPE_CHECKING:
    from omegaconf import DictConfig


def train(overrides: Sequence[str]) -> list[float | None]:
    """Runs a training, or the grid of ``-m``, as if the overrides were typed on the command line.

    Returns:
        The scores of the runs made in this process: the best validation PSNR, None where nothing was trained.

    Raises:
        UserError: for a mistake in the overrides or a run that failed.
        KeyboardInterrupt: if the user or SIGTERM stopped it.
    """
    import hydra

    from ispbench.config import compose_all, require_values

    for config in compose_all(overrides):  # a mistake in any cell of a grid is told before the first one trains
        require_values(config)

    # Errors come up as they are, instead of being printed by Hydra.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    scores: list[float | None] = []
    failures: list[Exception] = []

    @hydra.main(config_path="pkg://ispbench.conf", config_name="config", version_base="1.3")
    def app(config: "DictConfig") -> float | None:
        try:
            scores.append(_run(config))
        except Exception as failure:
            if _in_grid():
                raise
            failures.append(failure)  # carried past Hydra, which would announce it with a line of its own
            return None
        return scores[-1]

    typed, sys.argv = sys.argv, [sys.argv[0], *overrides]
    try:
        app()
    finally:
        sys.argv = typed
    if failures:
        raise failures[0]
    return scores


def _run(config: "DictConfig") -> float | None:
    from ispbench.config import require_values
    from ispbench.config.schema import validate, validate_device

    require_values(config)
    validate(config)  # the cells of sweepers that draw them as they go
    validate_device(config)
    from hydra.core.hydra_config import HydraConfig

    from ispbench.training.experiment import run  # imports torch: what needs no torch is answered before

    try:
        return run(config)
    except Exception as error:
        if not _in_grid():
            raise
        cell = f"#{HydraConfig.get().job.num} of the grid"
        warn(f"Cell {cell} failed: {mistake_in(error) or f'{type(error).__name__}: {error}'}")
        raise UserError(
            f"At least cell {cell} failed, as told above. Its record holds the traceback (see `ispbench runs`); the "
            "same command runs what is missing."
        ) from error


def _in_grid() -> bool:
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    return HydraConfig.get().mode == RunMode.MULTIRUN
