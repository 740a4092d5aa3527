"""Stops by signals, between two steps."""

import signal
from typing import Any

import pytorch_lightning as pl

from ispbench.training.signals import Terminated


class StopBetweenSteps(pl.Callback):
    """Lets signals take effect between two steps, so that the saved state is whole.

    Ctrl-C and SIGTERM end the training, a second one at once. SIGUSR2 is how submitit learns that a Slurm job's time is
    nearly up: its handler puts the job into the queue again and exits.
    """

    decides_numbers = False

    def __init__(self) -> None:
        self._asked: int | None = None
        self._previous: dict[int, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Takes over the signals, also from Lightning."""
        taken = [signal.SIGINT, signal.SIGTERM]
        if callable(signal.getsignal(signal.SIGUSR2)):
            taken.append(signal.SIGUSR2)
        try:
            self._previous = {number: signal.signal(number, self._ask) for number in taken}
        except ValueError:  # not the main thread: nothing to take over
            self._previous = {}

    def on_train_batch_start(self, *_: Any, **__: Any) -> None:
        """Stops here if asked."""
        self._stop_if_asked()

    def on_validation_batch_start(self, *_: Any, **__: Any) -> None:
        """Stops here if asked."""
        self._stop_if_asked()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Gives the signals back."""
        self.teardown(trainer, pl_module, "fit")

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Gives the signals back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _ask(self, signum: int, frame: Any) -> None:
        again = self._asked not in (None, signal.SIGUSR2)
        self._asked = signum
        if again:
            self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        if self._asked == signal.SIGUSR2:
            # Slurm sends SIGTERM when it queues the job again, and the state is still to be saved.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            self._previous.pop(signal.SIGTERM)
            self._previous[signal.SIGUSR2](signal.SIGUSR2, None)
        elif self._asked is not None:
            raise Terminated if self._asked == signal.SIGTERM else KeyboardInterrupt
