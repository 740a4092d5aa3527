"""What a training takes over from the checkpoint of another one, and whether that is what its configuration says."""

import traceback
from collections.abc import Mapping
from itertools import chain
from typing import Any

import pytorch_lightning as pl

from ispbench.checkpoint_files import Checkpoint
from ispbench.console import warn
from ispbench.errors import UserError
from ispbench.results.keys import canonical

_OF_THE_MOMENT = {"params", "initial_lr", "last_epoch", "_step_count", "_last_lr", "_get_lr_called_within_step"}


class ForeignState(pl.Callback):
    """Watches over the optimizer and the schedule that come with ``resume=`` from another training.

    Their settings come with their state, so that what is configured would be in the record but without effect.

    Args:
        checkpoint: Of the other training.

    Attributes:
        note: What of the schedule is not as configured; empty if all is.
    """

    decides_numbers = False

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self.note = ""

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compares before the state is restored.

        Raises:
            UserError: if the other training had another optimizer or other settings of it.
        """
        path, content = self._checkpoint.path, self._checkpoint.content
        states: list[Any] = [
            state.get("param_groups") for state in content["optimizer_states"] if isinstance(state, Mapping)
        ]
        configured = [optimizer.param_groups for optimizer in trainer.optimizers]
        if [_layout(groups) for groups in states] != [_layout(groups) for groups in configured]:
            raise UserError(
                f"{path} was trained by another optimizer; choose the same, or start from its weights alone with "
                "weights=FILE instead of resume=FILE."
            )
        pairs = zip(chain(*configured), chain(*states), strict=True)
        if differing := [words for ours, theirs in pairs for words in _differences(_settings(ours), _settings(theirs))]:
            raise UserError(
                f"The optimizer that {path} brings along has {', '.join(dict.fromkeys(differing))}; set the optimizer "
                "as it was, or start from the weights alone with weights=FILE instead of resume=FILE."
            )
        schedules = zip(trainer.lr_scheduler_configs, content["lr_schedulers"], strict=False)
        differing = [words for ours, theirs in schedules for words in _differences(ours.scheduler.state_dict(), theirs)]
        if differing:
            self.note = f"the schedule is that of the checkpoint: {', '.join(differing)}"
            warn(f"resume={path}: {self.note}.")


def in_restoring(error: BaseException) -> bool:
    """Whether an error came up while Lightning took over the state of a checkpoint."""
    return any(
        frame.f_globals.get("__name__", "").endswith("checkpoint_connector")
        and frame.f_code.co_name.lstrip("_").startswith(("restore", "resume"))
        for frame, _ in traceback.walk_tb(error.__traceback__)
    )


def _layout(groups: Any) -> list[tuple[set[str], int]] | None:
    """The names of an optimizer's settings and the number of its tensors, by which optimizers differ."""
    if not isinstance(groups, list) or not all(isinstance(group, Mapping) for group in groups):
        return None
    return [(set(group) - {"initial_lr"}, len(group.get("params", ()))) for group in groups]


def _settings(group: Mapping[str, Any]) -> dict[str, Any]:
    """Of an optimizer, with the rate that its schedule starts from."""
    return {**group, "lr": group.get("initial_lr", group.get("lr"))}


def _differences(ours: Mapping[str, Any], theirs: Any) -> list[str]:
    """In words, the plain settings that both have, with different values."""
    if not isinstance(theirs, Mapping):
        return []
    return [
        f"{key}={theirs[key]} instead of {value}"
        for key, value in ours.items()
        if key in theirs and key not in _OF_THE_MOMENT and canonical(value) != canonical(theirs[key])
    ]
