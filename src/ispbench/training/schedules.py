"""Learning-rate schedules in fractions of the training, so that a shorter recipe keeps its shape.

They advance once per training step.
"""

from collections.abc import Sequence
from typing import Any

from timm.scheduler import CosineLRScheduler
from timm.scheduler.scheduler import Scheduler as TimmScheduler
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from ispbench.errors import UserError


def advance(scheduler: Any, step: int) -> None:
    """Advances a schedule of torch or of timm to the given step, which is the next one, numbered from 0."""
    if isinstance(scheduler, TimmScheduler):
        scheduler.step_update(num_updates=step)
    else:
        scheduler.step()


class _Stairs:
    """The learning-rate factor at a step. It is a class so that checkpoints hold its numbers rather than code."""

    def __init__(self, total: int, starts: Sequence[float], factors: Sequence[float]) -> None:
        self.starts = [round(start * total) for start in starts]
        self.factors = list(factors)

    def __call__(self, step: int) -> float:
        return self.factors[sum(step >= start for start in self.starts)]


def piecewise(optimizer: Optimizer, total: int, starts: Sequence[float], factors: Sequence[float]) -> LambdaLR:
    """A rate that is constant on each piece of the training.

    Args:
        optimizer: The optimizer whose rates are scaled.
        total: The number of steps of the whole training.
        starts: Where each piece after the first begins, as increasing fractions of the training.
        factors: The factor on the optimizer's rate in each piece, one more than there are `starts`.

    Raises:
        UserError: if starts and factors do not fit together.
    """
    if len(factors) != len(starts) + 1 or list(starts) != sorted(starts) or not all(0 < x < 1 for x in starts):
        raise UserError(
            f"scheduler.starts must rise between 0 and 1 and scheduler.factors have one number more, not {list(starts)}"
            f" and {list(factors)}."
        )
    return LambdaLR(optimizer, _Stairs(total, starts, factors))


def cosine_restarts(
    optimizer: Optimizer,
    total: int,
    first: float,
    growth: float = 2.0,
    warmup: float = 0.0,
    warmup_lr: float = 1e-6,
    lr_min: float = 0.0,
) -> CosineLRScheduler:
    """Cosine decay with warm restarts after a linear warm-up (Loshchilov & Hutter, ICLR 2017).

    Args:
        optimizer: The optimizer whose rates are set.
        total: The number of steps of the whole training.
        first: Length of the first cycle, as a fraction of the training.
        growth: How many times as long each further cycle is; the last one is cut off at the end of the training.
        warmup: Length of the warm-up before the first cycle, as a fraction of the training.
        warmup_lr: The rate at the start of the warm-up.
        lr_min: The rate at the end of a cycle.

    Raises:
        UserError: for fractions outside [0, 1] or cycles that shrink.
    """
    if not (0 < first <= 1 and 0 <= warmup < 1 and growth >= 1):
        raise UserError("scheduler.first and scheduler.warmup are fractions of the training, scheduler.growth >= 1.")
    return CosineLRScheduler(
        optimizer,
        t_initial=max(round(first * total), 1),
        lr_min=lr_min,
        cycle_mul=growth,
        cycle_limit=1_000_000,
        warmup_t=round(warmup * total),
        warmup_lr_init=warmup_lr,
        warmup_prefix=True,
        t_in_epochs=False,
    )
