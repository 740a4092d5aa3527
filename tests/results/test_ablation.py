import numpy as np
import pytest

from ispbench.config import choices
from ispbench.results import store
from ispbench.results.ablation import draw, sheet_of, swept_values
from ispbench.results.comparison import block_analysis, compare
from ispbench.results.records import RULES
from tests.results.runs import save_run

SWEPT = {"model.num_bases": ["1", "2", "16"]}


def save(folder, bases, seed, psnr, **changes):
    """A finished run of MetaISP; changes are fields of its records, or keys of its configuration with a dot."""
    number = len(list(folder.glob("trainings/*.json")))
    config = {
        "model": {"_target_": "MetaISP", "num_bases": bases, "placement": "both", "ablated": "remove"},
        "data": {"_target_": "MiniData"},
        "trainer": {"max_steps": 400, "val_every": 400},
        "seed": seed,
    }
    for key in [key for key in changes if "." in key]:
        section, name = key.split(".")
        config[section][name] = changes.pop(key)
    fields = {
        "variant": f"num_bases={bases}",
        "metrics": {"psnr": psnr, "ssim": psnr / 100, "lpips": None},
        "complexity": {"params": 1000 + bases if isinstance(bases, int) else 1000, "gmacs": 7.5},
        "data": {"fingerprint": "aaaa"},
        "date": f"2026-01-01T00:{number:02}:00+00:00",
    }
    save_run(folder, f"run-{number:02}", seed=seed, config=config, **{**fields, **changes})


def three_values(folder, **changes):
    for bases, scores in ((16, (22.0, 22.4)), (1, (20.0, 20.2)), (2, (21.0, 21.4))):
        for seed, psnr in enumerate(scores):
            save(folder, bases, seed, psnr, **changes)


def comparisons(folder, swept=SWEPT):
    return compare(store.load(folder), swept)


@pytest.mark.parametrize("name", choices("ablation"))
def test_every_ablation_sweeps_settings_of_the_model(name):
    swept = swept_values(name)
    assert swept
    assert all(key.startswith("model.") and values for key, values in swept.items())


def test_what_an_ablation_fixes_counts_as_swept():
    assert swept_values("blocks")["model.ablated"] == ["conv"]


def test_one_row_a_value_with_mean_and_deviation_over_seeds(tmp_path):
    three_values(tmp_path)
    (found,) = comparisons(tmp_path)
    table = found.table()
    assert list(table["model.num_bases"]) == [1, 2, 16]
    assert list(table["seeds"]) == [2, 2, 2]
    assert table["psnr_mean"].to_list() == pytest.approx([20.1, 21.2, 22.2])
    assert table["psnr_std"].iloc[0] == pytest.approx(np.std([20.0, 20.2], ddof=1))
    assert (table["psnr_min"].iloc[2], table["psnr_max"].iloc[2]) == (22.0, 22.4)
    assert table["lpips_mean"].isna().all()
    assert list(table["params"]) == [1001, 1002, 1016]
    assert found.title == f"mini-v1/original-gt, rules {RULES}"


def test_words_stand_in_the_order_of_the_sweep(tmp_path):
    for placement in ("none", "mscb_first", "both"):
        save(tmp_path, 8, 0, 20.0, **{"model.placement": placement})
    (found,) = comparisons(tmp_path, swept_values("placement"))
    assert list(found.table()["model.placement"]) == ["both", "none", "mscb_first"]


def test_a_placement_written_out_is_a_value(tmp_path):
    save(tmp_path, 8, 0, 20.0)
    save(tmp_path, 8, 0, 21.0, **{"model.placement": {"encoder1": ["mccb"], "decoder1": []}})
    (found,) = comparisons(tmp_path, swept_values("placement"))
    assert list(found.table()["model.placement"]) == ["both", '{"decoder1": [], "encoder1": ["mccb"]}']


def test_the_newest_of_several_equal_runs_counts(tmp_path):
    three_values(tmp_path)
    save(tmp_path, 1, 0, 10.0)
    (found,) = comparisons(tmp_path)
    assert found.table()["psnr_min"].iloc[0] == 10.0
    assert len(found.runs) == 6


def test_only_finished_and_tested_runs_count(tmp_path):
    three_values(tmp_path)
    save(tmp_path, 4, 0, 20.0, status="failed")
    save(tmp_path, 5, 0, 20.0, status="running")
    save(tmp_path, 6, 0, 20.0, metrics={})
    (found,) = comparisons(tmp_path)
    assert set(found.runs["model.num_bases"]) == {1, 2, 16}


@pytest.mark.parametrize(
    "change, title",
    [
        ({"model.placement": "none"}, "model.placement=none"),
        ({"trainer.max_steps": 800, "trainer.val_every": 800}, "trainer.max_steps=800"),
        ({"protocol": "mini-v1/aligned"}, f"mini-v1/aligned, rules {RULES}"),
        ({"rules": "9.9"}, "mini-v1/original-gt, rules 9.9"),
        ({"data": {"fingerprint": "bbbb"}}, "data fingerprint=bbbb"),
    ],
)
def test_runs_that_differ_otherwise_are_tables_of_their_own(tmp_path, change, title):
    three_values(tmp_path)
    three_values(tmp_path, **change)
    found = comparisons(tmp_path)
    assert [len(each.runs) for each in found] == [6, 6]
    assert title in found[1].title
    assert title not in found[0].title
    assert found[1].title.count("800") <= 1  # of settings that always agree one is named


def test_a_patch_of_the_rules_still_compares(tmp_path):
    save(tmp_path, 1, 0, 20.0, rules="0.1")
    save(tmp_path, 2, 0, 20.0, rules="0.1.3")
    assert len(comparisons(tmp_path)) == 1


def test_a_value_alone_is_no_comparison(tmp_path):
    save(tmp_path, 1, 0, 20.0)
    save(tmp_path, 1, 1, 20.0)
    assert not comparisons(tmp_path)


def test_a_combined_sweep_gives_a_table_for_each_value_of_the_other_key(tmp_path):
    for bases in (4, 8):
        for placement in ("both", "none"):
            save(tmp_path, bases, 0, 20.0, **{"model.placement": placement})
    found = comparisons(tmp_path, swept_values("placement"))
    assert [each.title.rpartition(", ")[2] for each in found] == ["model.num_bases=4", "model.num_bases=8"]
    assert all(len(each.table()) == 2 for each in found)


def explained(design, scores):
    """The squared rest that least squares leave, and the rank of the design."""
    solution, _, rank, _ = np.linalg.lstsq(design, scores, rcond=None)
    return ((scores - design @ solution) ** 2).sum(), rank


def test_the_verdict_is_the_analysis_of_variance_with_seeds_as_blocks(tmp_path):
    from scipy.stats import f

    table = np.random.default_rng(0).normal(22, 0.5, (4, 3)) + np.arange(4)[:, None]
    for seed, bases in np.ndindex(table.shape):
        save(tmp_path, (1, 2, 16)[bases], seed, table[seed, bases])
    (found,) = comparisons(tmp_path)
    seeds, values = (np.eye(size)[place.ravel()] for size, place in zip((4, 3), np.indices((4, 3)), strict=True))
    without, fewer = explained(seeds, table.ravel())
    rest, more = explained(np.hstack((seeds, values)), table.ravel())
    freedom = more - fewer, table.size - more
    statistic = (without - rest) / freedom[0] / (rest / freedom[1])
    found_statistic, found_freedom, scatter = block_analysis(found.by_seed("psnr"))
    assert (found_statistic, scatter) == pytest.approx((statistic, (rest / freedom[1]) ** 0.5))
    assert found_freedom == freedom
    p = f.sf(statistic, *freedom)
    assert f"4 seeds as blocks F(2, 6) = {statistic:.3g}, p = {p:.2g}, so no difference" in found.verdict()


def test_what_a_seed_adds_to_every_value_hides_no_difference(tmp_path):
    from scipy.stats import ttest_1samp

    for seed, level in enumerate((18.0, 20.0, 23.0)):
        save(tmp_path, 1, seed, level)
        save(tmp_path, 2, seed, level + 0.3 + 0.01 * seed)
    (found,) = comparisons(tmp_path)
    assert found.verdict().endswith("so not all values are equal.")
    row = found.table().iloc[1]
    low, high = ttest_1samp([0.3, 0.31, 0.32], 0).confidence_interval(0.95)
    assert (row["difference"], row["difference_low"], row["difference_high"]) == pytest.approx((0.31, low, high))
    assert "+0.31 [0.29, 0.33]" in sheet_of(found).rows[1]


def test_seeds_that_a_value_lacks_are_left_out(tmp_path):
    three_values(tmp_path)
    save(tmp_path, 1, 7, 99.0)
    (found,) = comparisons(tmp_path)
    assert "with 2 seeds as blocks F(2, 2)" in found.verdict()
    assert found.by_seed("psnr").index.to_list() == [0, 1, 7]
    assert found.table()["difference"].to_list()[1:] == pytest.approx([1.1, 2.1])


def test_what_dynamic_weights_are_worth_is_a_column_where_it_was_measured(tmp_path):
    three_values(tmp_path)
    assert "2.1 dB apart" in comparisons(tmp_path)[0].verdict()
    assert not any("dynamic" in heading for heading in sheet_of(*comparisons(tmp_path)).headings)
    three_values(tmp_path, dynamic={"dynamic_gain_db": 0.4321, "spread": 0.1})
    (found,) = comparisons(tmp_path)
    assert found.table()["dynamic_gain_db_mean"].to_list() == pytest.approx([0.4321] * 3)
    assert "0.432 ± 0.000" in sheet_of(found).rows[0]
    assert found.measured("dynamic_gain_db")[0] == "dynamic_gain_db"
    three_values(tmp_path, dynamic={"dynamic_gain_db": 0.0})  # of one basis; a zero is measured as well
    assert "dynamic_gain_db" in comparisons(tmp_path)[0].measured("psnr")


def test_noise_shows_no_difference(tmp_path):
    for bases, scores in ((1, (20.0, 21.0, 20.5)), (2, (20.7, 20.8, 20.6))):
        for seed, psnr in enumerate(scores):
            save(tmp_path, bases, seed, psnr)
    (found,) = comparisons(tmp_path)
    assert "so no difference is shown" in found.verdict()


def test_a_single_seed_shows_nothing(tmp_path):
    save(tmp_path, 1, 0, 20.0)
    save(tmp_path, 2, 0, 25.0)
    (found,) = comparisons(tmp_path)
    assert "a single seed: nothing can be concluded" in found.verdict()
    assert found.table()["psnr_std"].isna().all()
    draw([found])


def test_a_score_that_is_missing_shows_nothing(tmp_path):
    three_values(tmp_path)
    (found,) = comparisons(tmp_path)
    assert "nothing can be concluded" in found.verdict("lpips")


def test_a_dot_for_each_seed(tmp_path):
    three_values(tmp_path)
    three_values(tmp_path, **{"model.placement": "none"})
    figure = draw(comparisons(tmp_path), "ssim")
    assert len(figure.axes) == 2
    dots = [y for line in figure.axes[0].lines for y in line.get_ydata() if line.get_color() == "tab:orange"]
    assert sorted(dots) == pytest.approx([0.20, 0.202, 0.21, 0.214, 0.22, 0.224])
