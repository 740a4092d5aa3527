"""Stopping on a signal, between two training steps."""

import signal
from typing import Any

import pytorch_lightning as pl

from ispbench.training.signals import Terminated


class StopBetweenSteps(pl.Callback):
    """Delays signals until the current step is done, so that the saved state is consistent.

    Ctrl-C and SIGTERM end the training; a second one ends it at once. SIGUSR2 tells submitit that the time of a Slurm
    job is nearly up; its handler requeues the job and exits.
    """

    decides_numbers = False

    def __init__(self) -> None:
        self._signal: int | None = None
        self._previous: dict[int, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Installs the handlers, in place of Lightning's."""
        taken = [signal.SIGINT, signal.SIGTERM]
        if callable(signal.getsignal(signal.SIGUSR2)):
            taken.append(signal.SIGUSR2)
        try:
            self._previous = {number: signal.signal(number, self._remember) for number in taken}
        except ValueError:  # only the main thread may install handlers
            self._previous = {}

    def on_train_batch_start(self, *_: Any, **__: Any) -> None:
        """Stops if a signal has arrived."""
        self._stop_if_signaled()

    def on_validation_batch_start(self, *_: Any, **__: Any) -> None:
        """Stops if a signal has arrived."""
        self._stop_if_signaled()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Restores the previous handlers."""
        self.teardown(trainer, pl_module, "fit")

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Restores the previous handlers."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _remember(self, signum: int, frame: Any) -> None:
        again = self._signal not in (None, signal.SIGUSR2)
        self._signal = signum
        if again:
            self._stop_if_signaled()

    def _stop_if_signaled(self) -> None:
        if self._signal == signal.SIGUSR2:
            # Slurm sends SIGTERM when it requeues the job, before the state has been saved.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            self._previous.pop(signal.SIGTERM)
            self._previous[signal.SIGUSR2](signal.SIGUSR2, None)
        elif self._signal is not None:
            raise Terminated if self._signal == signal.SIGTERM else KeyboardInterrupt
