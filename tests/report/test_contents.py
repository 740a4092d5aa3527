import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
import pytest
from scipy import stats

from ispbench.errors import UserError
from ispbench.report.contents import contents
from ispbench.report.page import assemble
from ispbench.report.pictures import Pictures
from ispbench.results import store
from ispbench.results.leaderboard import leaderboard
from tests.report.conftest import HOSTILE

COMMITTED = Path(__file__).resolve().parents[2] / "results"


@pytest.fixture(scope="module")
def content(results):
    return contents(results, "psnr", None)


@pytest.fixture(scope="module")
def board(content):
    (found,) = (board for board in content["boards"] if "many-cameras" in board["title"])
    return found


def scores_of(results, model):
    """The single images of a model's seeds, one below the other."""
    records = [record for record in store.load(results) if record["model"] == model and "many" in record["protocol"]]
    assert len(records) == 3
    return pd.concat(pd.read_csv(results / "evaluations" / f"{record['id']}.scores.csv") for record in records)


def row_of(board, model):
    (row,) = (row for row in board["rows"] if row["model"] == model)
    return row


def assert_holds_the_csv(page, table):
    """That the data in a page are the lines of the leaderboard's CSV."""
    embedded = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])
    rows = {(row["ranking_key"], row["row"]): row for board in embedded["boards"] for row in board["rows"]}
    assert len(rows) == len(table)
    for line in table.to_dict("records"):
        row = rows[line["ranking_key"], line["row"]]
        assert {name: str(row.get(name, "")) for name in line} == line


def test_the_page_holds_the_numbers_of_the_csv(results, content):
    table = pd.read_csv(io.StringIO(leaderboard(results).to_csv(index=False)), dtype=str, keep_default_na=False)
    assert len(table) == 4
    assert_holds_the_csv(assemble(content), table)


def test_the_committed_page_is_that_of_the_committed_results():
    table = pd.read_csv(COMMITTED / "leaderboard.csv", dtype=str, keep_default_na=False)
    page = (COMMITTED / "report.html").read_text()
    assert_holds_the_csv(page, table)


def test_a_page_opens_at_its_fullest_table(content):
    sizes = [len(board["rows"]) for board in content["boards"]]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) > 1


def test_names_cannot_leave_the_data(content, board):
    page = assemble(content)
    assert HOSTILE in {row["model"] for row in board["rows"]}
    assert HOSTILE not in page
    assert page.count("<script") == page.count("</script>") == 2


def test_a_page_asks_nothing_of_the_network(content):
    page = assemble(content)
    assert not re.search(r'(src|href)="(?!#)', page)
    assert "default-src 'none'" in page
    assert "url(" not in page
    assert "@import" not in page


@pytest.mark.parametrize("column", ["camera", "iso"])
def test_the_breakdown_holds_means_over_images_and_seeds(results, board, column):
    expected = scores_of(results, "unet").groupby(column)[["psnr", "lpips"]].mean()
    found = board["by"][column]
    assert found["values"] == [str(value) for value in sorted(expected.index)]
    cells = found["cells"][row_of(board, "unet")["row"]]
    for metric in ("psnr", "lpips"):
        assert [cell["mean"] for cell in cells[metric]] == pytest.approx(expected[metric].to_list())
        assert all(cell["low"] < cell["mean"] < cell["high"] for cell in cells[metric])
        assert {cell["n"] for cell in cells[metric]} == {48 // len(expected)}
    assert "photo" not in board["by"]


def test_win_rates_follow_the_direction_of_the_score(board):
    lan, unet = (row_of(board, name)["row"] for name in ("lan", "unet"))
    for metric in ("psnr", "lpips"):
        keys, share = board["wins"][metric]["keys"], np.array(board["wins"][metric]["share"])
        assert share + share.T == pytest.approx(1)
        assert share[keys.index(unet), keys.index(lan)] > 0.9  # one dB apart, noise of 0.3 dB


def test_the_picked_images_are_those_of_the_mean_scores(results, board):
    means = pd.DataFrame(
        {name: scores_of(results, name).groupby("image")["psnr"].mean() for name in ("lan", "unet", HOSTILE)}
    )
    picks = board["picks"]
    assert picks["worst"]["image"] == means.mean(axis=1).idxmin()
    assert picks["best"]["image"] == means.mean(axis=1).idxmax()
    assert picks["disputed"]["image"] == (means.max(axis=1) - means.min(axis=1)).idxmax()
    assert f"{means.mean(axis=1).min():.2f} dB" in picks["worst"]["reason"]
    assert picks["best"]["scores"][row_of(board, "lan")["row"]] == pytest.approx(means["lan"][picks["best"]["image"]])


def test_an_ablation_has_a_curve_with_an_interval(content):
    (curve,) = content["ablations"]
    assert (curve["name"], curve["keys"]) == ("bases", ["model.num_bases"])
    assert [point["value"] for point in curve["points"]] == ["1", "4", "16"]
    for point in curve["points"]:
        low, high = point["seeds"]
        assert point["mean"] == pytest.approx((low + high) / 2)
        assert point["high"] - point["mean"] == pytest.approx(stats.t.ppf(0.975, 1) * abs(high - low) / 2)
    assert "seeds as blocks" in curve["verdict"]


def test_every_row_says_where_it_comes_from(board):
    facts = dict(row_of(board, "unet")["facts"])
    assert facts["commit"] == "5263ad9c988c62ad158f76276e37d466d29748cd"
    assert facts["fingerprint of the data"] == "b8f74c606d8c1227"
    assert facts["seeds"] == "0 1 2"
    assert facts["command"].splitlines() == [f"python -m ispbench model=unet seed={seed}" for seed in range(3)]
    assert facts["made again by"].count("python -m ispbench reproduce ") == 3
    assert "torch " in facts["versions"]


def test_images_are_shrunk_until_they_fit(monkeypatch, rng):
    pictures = Pictures(None)
    noise = {name: rng.integers(0, 256, (700, 500, 3), dtype=np.uint8) for name in ("target", "row")}
    pictures._boards.append({"image": noise})
    monkeypatch.setattr("ispbench.report.pictures._ROOM", 200_000)
    (board,) = pictures.embedded()
    addresses = board["image"]
    assert sum(map(len, addresses.values())) <= 200_000
    for address in addresses.values():
        kind, _, coded = address.partition(",")
        assert kind == "data:image/webp;base64"
        assert max(PIL.Image.open(io.BytesIO(base64.b64decode(coded))).size) in (256, 384, 512)
    monkeypatch.setattr("ispbench.report.pictures._ROOM", 100)
    assert pictures.embedded() == [{}]


def test_a_wrong_score_is_told(results):
    with pytest.raises(UserError, match=r"'psn'.*Did you mean 'psnr'"):
        contents(results, "psn", None)


def test_a_page_without_evaluations_says_so(tmp_path):
    assert contents(tmp_path, "psnr", None)["boards"] == []
