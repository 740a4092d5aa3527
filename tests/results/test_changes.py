import pandas as pd
from tools.rows import changes

from ispbench.results.leaderboard import leaderboard
from tests.results.grid import add_row


def test_old_rows_are_set_against_new_ones(tmp_path):
    add_row(tmp_path, "metaisp", 28.0, seeds=(0, 1))
    add_row(tmp_path, "unet", 25.0)
    leaderboard(tmp_path).to_csv(tmp_path / "old.csv", index=False)
    old = pd.read_csv(tmp_path / "old.csv")
    assert changes(old, leaderboard(tmp_path)).notes == ["No row changes."]
    add_row(tmp_path, "metaisp", 28.0, seeds=(2,))
    add_row(tmp_path, "lan", 24.0)
    for path in (tmp_path / "evaluations").glob("unet-*"):
        path.unlink()
    sheet = changes(old, leaderboard(tmp_path))
    told = {(row[0], row[2]): dict(zip(sheet.headings, row, strict=True)) for row in sheet.rows}
    assert set(told) == {("changed", "metaisp"), ("new", "lan"), ("gone", "unet")}
    assert told["changed", "metaisp"]["seeds"] == "2 → 3"
    assert told["new", "lan"]["tier"] == "none → self-reported"
    assert told["gone", "unet"]["seeds"] == "3 → none"


def test_a_table_of_an_earlier_form_has_no_rows(tmp_path):
    add_row(tmp_path, "metaisp", 28.0)
    (row,) = changes(pd.DataFrame({"model": ["metaisp"]}), leaderboard(tmp_path)).rows
    assert row[0] == "new"
