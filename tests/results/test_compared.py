import pandas as pd
import pytest

from ispbench.errors import UserError
from ispbench.results.compared import compared_scores, comparison_sheets, means_over_datasets, names_of
from ispbench.results.figures import draw_critical_difference, draw_scores
from ispbench.results.filters import Filters
from ispbench.results.selection import selected
from tests.results.grid import add_row


@pytest.fixture
def results(tmp_path):
    add_row(tmp_path, "metaisp", 28.0, scatter=0.4)
    add_row(tmp_path, "unet", 25.0)
    add_row(tmp_path, "lan", 27.9, seeds=(0,))
    add_row(tmp_path, "classical", 20.0, seeds=(None,))
    return tmp_path


def compared(results, *names, **options):
    ((rows, others),) = selected(results, names, "psnr", options.pop("filters", Filters()), **options)
    sheets = comparison_sheets(rows, compared_scores(results, rows, others, "psnr"))
    return sheets[0]


def verdicts(sheet):
    return [row[-1] for row in sheet.rows]


def test_a_model_under_two_seeds_does_not_differ_from_itself(results):
    sheet = compared(results, "metaisp-photos-s0", "metaisp-photos-s2")
    assert [row[:2] for row in sheet.rows] == [("metaisp seed 0", "metaisp seed 2")]
    assert float(sheet.rows[0][4]) < 0.05, "the images alone would tell them apart"
    assert verdicts(sheet) == ["no difference found"]


def test_of_two_seeds_and_nothing_else_neither(tmp_path):
    add_row(tmp_path, "metaisp", 28.0, seeds=(0, 2), scatter=0.4)
    assert verdicts(compared(tmp_path, "metaisp-photos-s0", "metaisp-photos-s2")) == ["no difference found"]


def test_models_that_differ_are_told_apart(results):
    sheet = compared(results, "metaisp", "unet", "classical")
    assert verdicts(sheet) == ["metaisp is better", "metaisp is better", "unet is better"]
    assert any("budgets differ" in note for note in sheet.notes)


def test_a_single_seed_borrows_the_scatter_of_others(results):
    sheet = compared(results, "metaisp", "lan")
    assert verdicts(sheet) == ["no difference found"]
    assert any(note.startswith("lan: One seed: how far a seed moves") for note in sheet.notes)
    sheet = compared(results, "lan", "classical")
    assert verdicts(sheet) == ["lan is better"]


def test_that_nothing_is_known_of_seeds_is_told(tmp_path):
    add_row(tmp_path, "metaisp", 28.0, seeds=(0,))
    add_row(tmp_path, "classical", 20.0, seeds=(None,))
    sheet = compared(tmp_path, "metaisp", "classical")
    assert verdicts(sheet) == ["metaisp is better"]
    assert any("what is found holds for this training" in note for note in sheet.notes)


def test_mixing_is_refused(results):
    add_row(results, "csanet", 26.0, track="many-cameras")
    add_row(results, "punet", 26.0, steps=1200)
    with pytest.raises(UserError, match=r"do not compare: their protocols differ \(photos-v1-one-camera/original-gt"):
        selected(results, ["metaisp", "csanet"], "psnr", Filters())
    with pytest.raises(UserError, match=r"training budgets differ \(600 steps .* against 1,200 steps .*mixed=true"):
        selected(results, ["metaisp", "punet"], "psnr", Filters())
    sheet = compared(results, "metaisp", "punet", mixed=True)
    assert any("budgets differ: 600 steps" in note for note in sheet.notes)


def test_each_track_is_compared_by_itself(results):
    for model in ("metaisp", "unet"):
        add_row(results, model, 22.0, track="many-cameras")
    sets = selected(results, ["metaisp", "unet"], "psnr", Filters())
    assert [rows[0].ranking.track for rows, _ in sets] == ["many-cameras", "one-camera"]
    (one,) = selected(results, ["metaisp", "unet"], "psnr", Filters(track="many*"))
    assert one[0][1].ranking.track == "many-cameras"


def test_names_that_mean_nothing(results):
    with pytest.raises(
        UserError, match=r"'mataisp' is no model with scores \(classical, lan, metaisp, unet\)\. No run has"
    ):
        selected(results, ["mataisp", "unet"], "psnr", Filters())
    with pytest.raises(UserError, match="named only once"):
        selected(results, ["unet", "unet"], "psnr", Filters())
    for path in (results / "evaluations").glob("unet-*.scores.csv"):
        path.unlink()
    with pytest.raises(UserError, match="no psnr of single images of unet"):
        compared(results, "metaisp", "unet")


def test_rows_of_one_name_are_told_apart(results):
    add_row(results, "unet", 26.0, steps=1200)
    ((rows, _),) = selected(results, ["metaisp", "unet"], "psnr", Filters(budget="600*"))
    assert list(names_of(rows).values()) == ["metaisp", "unet"]


def test_the_figure_of_scores(results):
    ((rows, others),) = selected(results, ["metaisp", "unet"], "psnr", Filters())
    scores = compared_scores(results, rows, others, "psnr")
    (axis,) = draw_scores(scores, names_of(rows)).axes
    assert len(axis.get_yticklabels()) == 24
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["metaisp", "unet"]


def test_critical_differences_need_several_datasets(results):
    sets = selected(results, ["metaisp", "unet", "lan"], "psnr", Filters())
    means = means_over_datasets([rows for rows, _ in sets], ["metaisp", "unet", "lan"], "psnr")
    assert list(means.index) == ["photos-v1"]
    with pytest.raises(UserError, match="at least 3 datasets; here are 3 rows over photos-v1"):
        draw_critical_difference(means, True)


def test_a_critical_difference_diagram():
    pytest.importorskip("scikit_posthocs")
    means = pd.DataFrame(
        {"a": [30.0, 31, 32, 29, 30, 31], "b": [29.0, 30, 31, 28, 29, 30], "c": [20.0, 21, 22, 19, 20, 21]},
        index=[f"set{number}" for number in range(6)],
    )
    texts = " ".join(text.get_text() for text in draw_critical_difference(means, True).axes[0].texts)
    assert texts == "a (1) b (2) (3) c"
