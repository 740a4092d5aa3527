"""What scores image by image allow to say: intervals, paired differences, win rates, and the images behind them.

Images of one photograph are no independent evidence, and neither are images of one training. So intervals come from a
bootstrap that resamples photographs, then seeds; docs/leaderboard.md explains it.
"""

from collections.abc import Sequence
from functools import cache, cached_property
from itertools import combinations
from typing import TypeGuard

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ispbench.results.image_scores import ImageScores, Scatter, Values

RESAMPLES = 2000
CONFIDENCE = 0.95
FEWEST_PHOTOGRAPHS = 6  # of fewer, no test of photographs can reach p < 0.05
_SEED = 0  # of the resampling, so that a table comes out the same again


class Bootstrap:
    """Means of rows under resampled photographs and seeds.

    Of P photographs P - 1 are drawn, which gives their mean the right variance also where they are few (Rao and Wu
    1988). They are the same for all rows, so that differences are paired. Then a distance from the mean of its setting
    is drawn for each seed of a row, see `Scatter`. Since few photographs and few seeds tell their own variance poorly,
    both parts are stretched from the normal to Student's quantile (Hesterberg 2015, expanded percentiles).

    Args:
        scores: Of the rows.
        resamples: How often.
    """

    def __init__(self, scores: ImageScores, resamples: int = RESAMPLES) -> None:
        self.scores = scores
        self._rng = np.random.default_rng(_SEED)
        names, self._photo = np.unique(scores.photos, return_inverse=True)
        self._count = np.bincount(self._photo, minlength=len(names)).astype(float)
        chance = np.full(len(names), 1 / len(names))
        self._drawn = self._rng.multinomial(len(names) - 1, chance, size=resamples) if len(names) > 1 else None

    @cached_property
    def photographs(self) -> dict[str, Values]:
        """By the row's key, how far resampled photographs move its mean, shape (resamples,); NaN if there is one."""
        return {
            key: self._over_photographs(values.mean(0)[None])[:, 0] - values.mean()
            for key, values in self.scores.values.items()
        }

    @cached_property
    def seeds(self) -> dict[str, Values]:
        """By the row's key, how far resampled seeds move its mean, shape (resamples,); 0 where that is not known."""
        found = {}
        for key, values in self.scores.values.items():
            scatter = self.scores.scatter.get(key)
            moved = self._over_photographs(np.zeros((1, values.shape[1])) if not _known(scatter) else scatter.values)
            drawn = self._rng.integers(moved.shape[1], size=(len(moved), len(values)))
            found[key] = np.take_along_axis(moved, drawn, axis=1).mean(1)
        return found

    def _over_photographs(self, values: Values) -> Values:
        """Means over the images of the drawn photographs, shape (resamples, rows of `values`)."""
        if self._drawn is None:
            return np.full((1, len(values)), np.nan)
        sums = np.stack([np.bincount(self._photo, row, len(self._count)) for row in values])
        return np.asarray((self._drawn @ sums.T) / (self._drawn @ self._count)[:, None])

    def interval(self, key: str, other: str | None = None) -> tuple[float, float]:
        """The interval of a row's mean, or of its difference to another row's; NaN where there is one photograph."""
        keys = [key] if other is None else [key, other]
        signs = (1, -1)
        center, photographs, seeds = (
            sum(sign * found[name] for sign, name in zip(signs, keys, strict=False))
            for found in ({name: self.scores.values[name].mean() for name in keys}, self.photographs, self.seeds)
        )
        freedom = {scatter.source: scatter.freedom for name in keys if _known(scatter := self.scores.scatter.get(name))}
        moved = _stretch(len(self._count) - 1) * photographs + _stretch(sum(freedom.values())) * seeds
        low, high = np.quantile(center + moved, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        return float(low), float(high)


def _known(scatter: Scatter | None) -> TypeGuard[Scatter]:
    return scatter is not None and len(scatter.values) > 0


@cache
def _stretch(freedom: int) -> float:
    """Student's quantile as a multiple of the normal one; 1 where nothing is estimated."""
    from scipy.stats import norm, t

    quantile = (1 + CONFIDENCE) / 2
    return float(t.ppf(quantile, freedom) / norm.ppf(quantile)) if freedom else 1.0


def intervals(scores: ImageScores) -> pd.DataFrame:
    """The mean of each row over seeds and images, with its interval.

    Returns:
        Indexed by the rows' keys: ``mean``, ``low``, ``high``, ``seeds``.
    """
    bootstrap = Bootstrap(scores)
    rows = {}
    for key, values in scores.values.items():
        low, high = bootstrap.interval(key)
        rows[key] = {"mean": values.mean(), "low": low, "high": high, "seeds": len(values)}
    return pd.DataFrame.from_dict(rows, orient="index")


def differences(scores: ImageScores) -> pd.DataFrame:
    """Every pair of rows: by how much the first is better, and whether that is more than chance.

    Returns:
        One line a pair: ``first`` and ``second``, the rows' keys; ``difference``, first minus second; ``low`` and
        ``high``, its interval; ``p`` of a paired Wilcoxon test, two-sided, and ``p_holm``, corrected for the number of
        pairs; ``units``, what the test takes as independent, photographs or (if they are fewer than
        `FEWEST_PHOTOGRAPHS`) images; ``win_rate``, see `win_rates`; ``distinguishable``, whether both the corrected p
        is below 0.05 and the interval leaves out zero.
    """
    bootstrap = Bootstrap(scores)
    units, group = _units(scores)
    rates = win_rates(scores)
    rows = []
    for first, second in combinations(scores.values, 2):
        paired = scores.values[first].mean(0) - scores.values[second].mean(0)
        low, high = bootstrap.interval(first, second)
        means = pd.Series(paired).groupby(group).mean().to_numpy()
        rows.append(
            {
                "first": first,
                "second": second,
                "difference": paired.mean(),
                "low": low,
                "high": high,
                "p": _wilcoxon(means),
                "units": units,
                "win_rate": rates.loc[first, second],
            }
        )
    table = pd.DataFrame(rows, columns=["first", "second", "difference", "low", "high", "p", "units", "win_rate"])
    table.insert(6, "p_holm", holm(table["p"].to_numpy(float)))
    outside = (table["low"] > 0) | (table["high"] < 0)
    table["distinguishable"] = outside & (table["p_holm"] < 1 - CONFIDENCE)
    return table


def win_rates(scores: ImageScores) -> pd.DataFrame:
    """How often the row of a line is better than that of a column, over images and pairs of seeds; ties count half.

    Returns:
        Square, indexed by the rows' keys; 0.5 on the diagonal.
    """
    sign = 1 if scores.higher_is_better else -1
    keys = list(scores.values)
    rates = pd.DataFrame(0.5, index=keys, columns=keys)
    for first, second in combinations(keys, 2):
        ahead = np.sign(sign * (scores.values[first][:, None] - scores.values[second][None]))
        rates.loc[first, second] = (1 + ahead.mean()) / 2
        rates.loc[second, first] = (1 - ahead.mean()) / 2
    return rates


def image_table(scores: ImageScores) -> pd.DataFrame:
    """The images, the most disputed first.

    Returns:
        ``image``, ``photo``, the mean over seeds of each row under its key, and ``spread``, the best minus the worst.
    """
    means = {key: values.mean(0) for key, values in scores.values.items()}
    table = pd.DataFrame({"image": scores.images, "photo": scores.photos, **means})
    table["spread"] = table[list(means)].max(axis=1) - table[list(means)].min(axis=1)
    return table.sort_values(["spread", "image"], ascending=[False, True], ignore_index=True)


def worst_images(scores: ImageScores, key: str, count: int = 5) -> pd.DataFrame:
    """The images that a row does worst on: ``image``, ``photo`` and ``score``, its mean over seeds; worst first."""
    table = pd.DataFrame({"image": scores.images, "photo": scores.photos, "score": scores.values[key].mean(0)})
    return table.sort_values(["score", "image"], ascending=[scores.higher_is_better, True], ignore_index=True).head(
        count
    )


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Holm's correction (1979): p values of several tests, so that any false finding has at most their chance."""
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(stepped, 1)
    return corrected


def ranks(scores: ImageScores, ordered: Sequence[str]) -> dict[str, int]:
    """The rank of each row: rows that cannot be told from the best of their group share it.

    Args:
        scores: Of the rows.
        ordered: Their keys, the best mean first.

    Returns:
        1 for the first group; then one more than the number of rows in the groups before.
    """
    told = differences(scores)
    apart = {frozenset((row.first, row.second)) for row in told.itertuples() if row.distinguishable}
    found: dict[str, int] = {}
    leader, rank = None, 1
    for place, key in enumerate(ordered, start=1):
        if leader is None or frozenset((leader, key)) in apart:
            leader, rank = key, place
        found[key] = rank
    return found


def _units(scores: ImageScores) -> tuple[str, NDArray[np.str_]]:
    """What the test takes as independent, and to which unit each image belongs."""
    if len(set(scores.photos)) >= FEWEST_PHOTOGRAPHS:
        return "photographs", np.asarray(scores.photos)
    return "images", np.asarray(scores.images)


def _wilcoxon(differences: Values) -> float:
    from scipy.stats import wilcoxon

    if not differences.any():
        return 1.0
    return float(wilcoxon(differences).pvalue)
