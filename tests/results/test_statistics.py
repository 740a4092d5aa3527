import numpy as np
import pytest
from scipy.stats import norm, t, wilcoxon

from ispbench.results.image_scores import ImageScores, Scatter
from ispbench.results.statistics import (
    Bootstrap,
    differences,
    holm,
    image_table,
    intervals,
    ranks,
    win_rates,
    worst_images,
)


def scores_of(values, photos=None, scatter=None, higher=True):
    """Scores by name, each of shape (seeds, images)."""
    arrays = {name: np.atleast_2d(np.asarray(value, float)) for name, value in values.items()}
    images = [f"image{number}" for number in range(next(iter(arrays.values())).shape[1])]
    return ImageScores("psnr", higher, images, photos or images, arrays, scatter or {})


def scatter_of(values, source):
    seeds = len(values)
    return Scatter("own", (values - values.mean(0)) * (seeds / (seeds - 1)) ** 0.5, seeds - 1, source)


def test_the_bootstrap_has_the_variance_of_a_mean_over_photographs(rng):
    photos = [f"photo{number}" for number in range(5) for _ in range(4)]
    values = rng.normal(0, 2, 5).repeat(4) + rng.normal(0, 0.5, 20)
    bootstrap = Bootstrap(scores_of({"a": values}, photos), resamples=20_000)
    drawn, means = bootstrap.photographs["a"], values.reshape(5, 4).mean(1)
    assert drawn.mean() == pytest.approx(0, abs=0.05)
    assert drawn.std() == pytest.approx(means.std(ddof=1) / 5**0.5, rel=0.03)
    low, high = np.quantile(drawn, [0.025, 0.975]) * t.ppf(0.975, 4) / norm.ppf(0.975)
    assert bootstrap.interval("a") == pytest.approx((values.mean() + low, values.mean() + high))


def test_seeds_widen_the_interval_by_their_own_variance(rng):
    photos, seeds = rng.normal(0, 0.5, 40), np.array([-0.6, 0.1, 0.5])
    values = photos + seeds[:, None]
    bootstrap = Bootstrap(scores_of({"a": values}, scatter={"a": scatter_of(values, "a")}), resamples=20_000)
    assert bootstrap.seeds["a"].var() == pytest.approx(seeds.var(ddof=1) / 3, rel=0.05)
    low, high = bootstrap.interval("a")
    assert high - low > 2 * t.ppf(0.975, 2) * seeds.std(ddof=1) / 3**0.5 * 0.9


def test_many_images_of_few_photographs_are_little_evidence(rng):
    photos = ["one"] * 50 + ["two"] * 50
    values = np.repeat([20.0, 30.0], 50) + rng.normal(0, 0.1, 100)
    few, many = intervals(scores_of({"a": values}, photos)), intervals(scores_of({"a": values}))
    assert few.loc["a", "high"] - few.loc["a", "low"] > 9, "and more than the ten decibels between the two"
    assert many.loc["a", "high"] - many.loc["a", "low"] < 2.5
    assert np.isnan(intervals(scores_of({"a": values}, ["one"] * 100)).loc["a", "low"])


def test_the_p_values_are_scipys_over_photographs(rng):
    photos = [f"photo{number}" for number in range(7) for _ in range(3)]
    first, second = rng.normal(25, 1, (2, 21)), rng.normal(24.5, 1, (3, 21))
    (row,) = differences(scores_of({"a": first, "b": second}, photos)).to_dict("records")
    apart = (first.mean(0) - second.mean(0)).reshape(7, 3).mean(1)
    assert row["units"] == "photographs"
    assert row["p"] == pytest.approx(wilcoxon(apart).pvalue)
    assert row["difference"] == pytest.approx(first.mean() - second.mean())
    few = differences(scores_of({"a": first, "b": second}, ["x"] * 10 + ["y"] * 11)).iloc[0]
    assert few["units"] == "images"
    assert few["p"] == pytest.approx(wilcoxon(first.mean(0) - second.mean(0)).pvalue)


def test_holm_by_hand():
    # 0.01 x 3; 0.03 x 2; 0.04 x 1, but no less than the one before
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03])), [0.03, 0.06, 0.06])
    assert list(holm(np.array([0.9, 0.8]))) == [1, 1]


def test_win_rates_by_hand():
    scores = scores_of({"a": [[1, 2, 3, 4]], "b": [[1, 1, 4, 1], [2, 1, 4, 1]]})
    # against the first seed of b: a tie, a win, a defeat, a win; against the second a defeat instead of the tie
    assert win_rates(scores).loc["a", "b"] == (2.5 + 2) / 8
    assert win_rates(scores).loc["b", "a"] == 1 - (2.5 + 2) / 8
    lower = scores_of({"a": [[1, 2]], "b": [[2, 3]]}, higher=False)
    assert win_rates(lower).loc["a", "b"] == 1


def test_disputed_and_worst_images():
    scores = scores_of({"a": [10, 20, 30], "b": [11, 25, 29]})
    assert list(image_table(scores)["image"]) == ["image1", "image0", "image2"]
    assert list(image_table(scores)["spread"]) == [5, 1, 1]
    assert list(worst_images(scores, "a", 2)["image"]) == ["image0", "image1"]
    lower = scores_of({"a": [10, 20, 30]}, higher=False)
    assert list(worst_images(lower, "a", 1)["image"]) == ["image2"]


def test_equal_models_are_rarely_told_apart(rng):
    """Of models that differ by nothing but seeds and noise, about one pair in twenty may be."""
    found = 0
    for _ in range(200):
        levels = rng.normal(25, 2, 12) + rng.normal(0, 0.3, (2, 3, 1)) + rng.normal(0, 0.2, (2, 3, 12))
        values = dict(zip("ab", levels, strict=True))
        scatter = {name: scatter_of(value, name) for name, value in values.items()}
        found += differences(scores_of(values, scatter=scatter))["distinguishable"].iloc[0]
    assert found <= 19, "binomial: more than 19 of 200 have a chance of 0.3 % at 5 %"


def test_rows_that_cannot_be_told_apart_share_a_rank(rng):
    photos = rng.normal(0, 2, 20)
    values = {name: level + photos + rng.normal(0, 0.3, 20) for name, level in (("a", 28), ("b", 28), ("c", 25))}
    order = sorted(values, key=lambda name: -values[name].mean())
    assert ranks(scores_of(values), order) == {"a": 1, "b": 1, "c": 3}
