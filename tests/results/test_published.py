import csv
import json
import shutil

import pytest

from ispbench.cli.main import dispatch
from ispbench.errors import UserError
from ispbench.results.published import CHECKS, COLUMNS, beside_measured, sheets_of
from tests.conftest import REPOSITORY
from tests.results.grid import add_row

PUBLISHED = REPOSITORY / "results" / "published"


@pytest.fixture
def results(tmp_path):
    shutil.copytree(PUBLISHED, tmp_path / "published")
    add_row(tmp_path, "liteispnet", 20.0)
    for path in (tmp_path / "evaluations").glob("*.json"):
        path.write_text(path.read_text().replace("photos-v1-one-camera/original-gt", "zrr-v1/original-gt"))
    return tmp_path


def test_published_and_measured_stand_side_by_side_with_a_reason(results):
    table = beside_measured(results)
    row = table[(table["model"] == "liteispnet") & table["measured_psnr"].notna()].iloc[0]
    assert (row["published_psnr"], row["published_ssim"], row["published_lpips"]) == (21.55, 0.749, 0.187)
    assert row["measured_psnr"] == pytest.approx(20, abs=2)
    assert row["seeds"] == 3
    assert "960 pairs held out" in row["difference"]
    assert table["difference"].str.len().min() > 20
    measured = table[table["measured_psnr"].notna()]
    assert set(measured["published_protocol"]) == {"original targets"}, "not beside aligned targets"


def test_no_column_holds_both():
    shared = {name.removeprefix("published_") for name in COLUMNS if name.startswith("published_")}
    assert {"psnr", "ssim", "lpips", "params"} <= shared
    assert not shared & set(COLUMNS) - {"model", "protocol"}


def test_unverified_numbers_have_to_be_asked_for_and_are_marked(results, capsys):
    assert "unverified" not in set(beside_measured(results)["checked"])
    table = beside_measured(results, include_unverified=True)
    marked = table[table["checked"] == "unverified"]
    assert set(marked["published_psnr"]) == {22.73, 23.27, 23.38, 23.07, 23.76, 23.93, 23.2, 23.73}
    dispatch(["leaderboard", f"results={results}", "published=true"])
    assert "UNVERIFIED" not in capsys.readouterr().out
    dispatch(["leaderboard", f"results={results}", "--include-unverified"])
    assert capsys.readouterr().out.count("UNVERIFIED") == len(marked)


def test_the_best_of_several_samples_is_flagged(results):
    sheets = sheets_of(beside_measured(results))
    (cell,) = (row[0] for sheet in sheets for row in sheet.rows if row[0].startswith("ISPDiffuser"))
    assert cell.endswith("(best of N)")
    assert any("Sampling: best of 10" in note for sheet in sheets for note in sheet.notes)


def test_every_number_says_where_it_is_from_and_how_it_was_checked():
    for path in PUBLISHED.glob("*.json"):
        entry = json.loads(path.read_text())
        assert entry["checked"] in CHECKS
        assert entry["how"]
        assert entry["source"]["work"]
        assert entry["source"]["place"]
        assert {name for row in entry["rows"] for name in row["scores"]} <= set(entry["metrics"])


def test_nothing_was_lost_on_the_way(shared):
    with (shared / "spec" / "published.csv").open() as file:
        rows = list(csv.DictReader(file))
    given = sorted(
        (row["dataset"], float(row["psnr"]), row["ssim"] and float(row["ssim"]), row["status"]) for row in rows
    )
    ours = sorted(
        (entry["dataset"], row["scores"]["psnr"], row["scores"].get("ssim", ""), entry["checked"])
        for entry in (json.loads(path.read_text()) for path in PUBLISHED.glob("*.json"))
        for row in entry["rows"]
    )
    assert ours == given


def test_a_file_that_is_none_of_ours_is_told(tmp_path):
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / "x.json").write_text('{"model": "metaisp", "psnr": 99}')
    with pytest.raises(UserError, match=r"x\.json is no file of published numbers"):
        beside_measured(tmp_path)
