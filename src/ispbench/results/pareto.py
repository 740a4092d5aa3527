"""Which rows are worth their cost."""

from collections.abc import Sequence
from typing import Any

from ispbench.metrics.table import shown_as


def mark(lines: Sequence[dict[str, Any]], column: str, metric: str, cost: str, same: Sequence[str] = ()) -> None:
    """Says of each line whether none is at least as good at no greater cost, and better in one of the two.

    Args:
        lines: Of one ranking; they get the column, None where the cost is not known.
        column: Its name.
        metric: The score.
        cost: The column of the cost.
        same: Columns in which lines must agree to be weighed against each other.
    """
    sign = -1 if shown_as(metric).higher_is_better else 1

    def place(line: dict[str, Any]) -> tuple[float, float]:
        return sign * line[metric], line[cost]

    known = [line for line in lines if line[cost] is not None]
    for line in lines:
        line[column] = None
    for line in known:
        here = place(line)
        rivals = (place(other) for other in known if all(other.get(name) == line.get(name) for name in same))
        line[column] = not any(
            quality <= here[0] and price <= here[1] for quality, price in rivals if (quality, price) != here
        )
