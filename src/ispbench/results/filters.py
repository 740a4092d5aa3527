"""Which rows of the leaderboard are shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatch

from ispbench.errors import UserError
from ispbench.results.rows import Row, without_ablations


@dataclass(frozen=True)
class Filters:
    """Which rows are shown; patterns such as ``photos*``.

    Attributes:
        dataset: With its version, ``photos-v1``.
        protocol: ``photos-v1-one-camera/original-gt``.
        track: That was scored.
        budget: As `ispbench.results.rows.budget_of` words it.
        model: Its name.
        min_params: The fewest parameters.
        max_params: The most parameters.
        since: The first day of the newest evaluation, such as ``2026-11-24``.
        until: The last day, likewise.
        variants: Whether cells of ablations are shown, see `ispbench.results.rows.without_ablations`.
    """

    dataset: str = "*"
    protocol: str = "*"
    track: str = "*"
    budget: str = "*"
    model: str = "*"
    min_params: float | None = None
    max_params: float | None = None
    since: str | None = None
    until: str | None = None
    variants: bool = False

    def __post_init__(self) -> None:
        for name in ("since", "until"):
            try:
                date.fromisoformat(getattr(self, name) or "2000-01-01")
            except ValueError as error:
                raise UserError(f"{name} is a day such as 2026-11-24, not {getattr(self, name)!r}.") from error

    def apply(self, rows: Sequence[Row]) -> list[Row]:
        """The rows that pass."""
        kept = list(rows) if self.variants else without_ablations(rows)
        return [row for row in kept if self._passes(row)]

    def _passes(self, row: Row) -> bool:
        named = {name: getattr(row.ranking, name) for name in ("dataset", "protocol", "track", "budget")}
        if not all(fnmatch(value, getattr(self, name)) for name, value in {**named, "model": row.model}.items()):
            return False
        params, day = row.measured("complexity", "params"), str(row.newest["date"])[:10]
        sized = self.min_params is not None or self.max_params is not None
        if sized and (params is None or not (self.min_params or 0) <= params <= (self.max_params or float("inf"))):
            return False
        return (self.since or "") <= day <= (self.until or "9999")
