"""Stopping on a signal, between two training steps."""

import signal
from typing import Any

import pytorch_lightning as pl

from ispbench.training.signals import Terminated, stop_at_once


class StopBetweenSteps(pl.Callback):
    """Delays signals until the current step is done, so that the saved state is consistent.

    Ctrl-C and SIGTERM end the training, or what follows it if it is over by then; a second one ends it at once,
    without another checkpoint. SIGUSR2 tells submitit that the time of a Slurm job is nearly up; its handler requeues
    the job and exits.
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

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Stops if a signal has arrived, but not amid the batches that are accumulated to a step."""
        if batch_idx % trainer.accumulate_grad_batches == 0:
            self._stop_if_signaled()

    def on_validation_batch_start(self, trainer: pl.Trainer, *_: Any, **__: Any) -> None:
        """Stops if a signal has arrived; the validation after the last step is finished, for it is not made again."""
        if trainer.global_step < trainer.max_steps:
            self._stop_if_signaled()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Restores the previous handlers."""
        self._signal = None
        self.teardown(trainer, pl_module, "fit")

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Restores the previous handlers, and hands on to them a signal that came too late to stop the training."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
        late, self._signal = self._signal, None
        if late is not None:
            signal.raise_signal(late)

    def _remember(self, signum: int, frame: Any) -> None:
        again = self._signal not in (None, signal.SIGUSR2)
        self._signal = signum
        if again:
            raise stop_at_once(signum)

    def _stop_if_signaled(self) -> None:
        if self._signal == signal.SIGUSR2:
            # Slurm sends SIGTERM when it requeues the job, before the state has been saved.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            self._previous.pop(signal.SIGTERM)
            self._previous[signal.SIGUSR2](signal.SIGUSR2, None)
        elif self._signal is not None:
            raise Terminated if self._signal == signal.SIGTERM else KeyboardInterrupt
