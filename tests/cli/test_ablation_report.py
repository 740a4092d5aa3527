import pandas as pd
import pytest

from ispbench.cli.main import dispatch
from ispbench.errors import UserError
from tests.results.test_ablation import three_values


def test_the_report_is_printed_and_written(tmp_path, capsys):
    three_values(tmp_path)
    three_values(tmp_path, **{"model.placement": "none"})
    dispatch(["ablation-report", "bases", "--results", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "22.20 ± 0.28" in printed
    assert "+2.10" in printed
    assert printed.count("2 seeds as blocks") == 2
    table = pd.read_csv(tmp_path / "ablations" / "bases.csv")
    assert len(table) == 6
    assert table["title"].nunique() == 2
    assert (tmp_path / "ablations" / "bases.png").stat().st_size > 5000


def test_the_places_and_the_score_can_be_chosen(tmp_path, capsys):
    three_values(tmp_path)
    output, plot = tmp_path / "table.md", tmp_path / "new" / "plot.pdf"
    dispatch(
        [
            "ablation-report",
            "bases",
            "--results",
            str(tmp_path),
            "--metric",
            "gmacs",
            "--output",
            str(output),
            "--plot",
            str(plot),
        ]
    )
    assert "| gmacs to the first row |" in output.read_text()
    assert plot.is_file()
    assert not (tmp_path / "ablations").exists()
    assert "gmacs: the means of the 3 values lie up to 0 apart" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["base"], "Unknown ablation 'base'. Did you mean 'bases'"),
        (["width"], "python -m ispbench ablation=width"),
        (["bases", "--metric", "psn"], "Did you mean 'psnr'"),
        (["bases", "--plot", "plot.doc"], "choose another plot="),
        (["bases", "--output", "table.xls"], "in no format that a table is written in"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    three_values(tmp_path / "results")
    with pytest.raises(UserError) as error:
        dispatch(["ablation-report", *arguments])
    assert message in str(error.value)
    assert "\n" not in str(error.value)
