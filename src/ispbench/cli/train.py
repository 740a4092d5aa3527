"""A training, or a grid of them, from overrides of the configuration."""

import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from typing import TYPE_CHECKING, Any

from ispbench.console import warn
from ispbench.errors import UserError, mistake_in
from ispbench.sweep.search import GridError

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
    results: list[tuple[float | None, str | None]] = []
    grid = False

    @hydra.main(config_path="pkg://ispbench.conf", config_name="config", version_base="1.3")
    def app(config: "DictConfig") -> float | None:
        nonlocal grid
        grid = _in_grid()
        try:
            score = _run(config)
        except Exception as failure:
            results.append((None, str(failure)))
            raise
        results.append((score, None))
        return score

    typed, sys.argv = sys.argv, [sys.argv[0], *overrides]
    try:
        with redirect_stderr(_WithoutAnnouncement(sys.stderr)):
            app()
    except Exception as failure:
        if grid:
            raise GridError(results) from failure
        raise
    finally:
        sys.argv = typed
    return [score for score, _ in results]


class _WithoutAnnouncement:
    """A stream that leaves out the line with which Hydra announces an error before it is told."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        if text.startswith("Error executing job with overrides: "):
            return len(text)
        return int(self._stream.write(text))


def _run(config: "DictConfig") -> float | None:
    from ispbench.config import require_values
    from ispbench.config.schema import validate, validate_device

    require_values(config)
    validate(config)  # the cells of sweepers that draw them as they go
    validate_device(config)
    from hydra.core.hydra_config import HydraConfig

    if HydraConfig.get().job.chdir:
        os.chdir(HydraConfig.get().runtime.cwd)
        warn("hydra.job.chdir=true is not followed: all paths are relative to the folder that ispbench starts in.")
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
