import json
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from ispbench.cli.main import dispatch
from ispbench.errors import UserError
from ispbench.results import store
from ispbench.results.committed import check_files, write_files
from ispbench.results.filters import Filters
from ispbench.results.leaderboard import AFTER, BEFORE, leaderboard, scores_of
from ispbench.results.rows import split_track
from ispbench.results.shown import sheets_of
from ispbench.results.verifications import verify
from tests.conftest import REPOSITORY
from tests.results.grid import COMMIT, STEADY, add_row


@pytest.fixture
def grid(tmp_path):
    """Three models of three seeds, two of them too close to be told apart."""
    add_row(tmp_path, "metaisp", 28.0, params=1_000_000, efficiency=STEADY)
    add_row(tmp_path, "unet", 28.02, params=2_000_000, efficiency=STEADY | {"latency_ms": 40.0})
    add_row(tmp_path, "lan", 24.0, params=500_000, efficiency=STEADY | {"latency_iqr_ms": 30.0})
    return tmp_path


def by_model(board):
    return board.set_index("model")


def test_seeds_are_aggregated_with_an_interval(grid):
    board = by_model(leaderboard(grid))
    assert list(board["seeds"]) == [3, 3, 3]
    tables = [pd.read_csv(path) for path in (grid / "evaluations").glob("lan-*.scores.csv")]
    mean = np.mean([table["psnr"].mean() for table in tables])
    assert board.loc["lan", "psnr"] == pytest.approx(mean, abs=1e-6)
    assert board.loc["lan", "psnr_low"] < mean < board.loc["lan", "psnr_high"]
    photos = pd.concat(tables).groupby("photo")["psnr"].mean()
    half = t.ppf(0.975, len(photos) - 1) * photos.std(ddof=1) / len(photos) ** 0.5
    assert board.loc["lan", "psnr_high"] - mean == pytest.approx(half, rel=0.15)
    assert len(board.loc["lan", "ids"].split()) == 3


def test_ranks_and_pareto_marks(grid):
    board = by_model(leaderboard(grid))
    assert dict(board["rank"]) == {"unet": 1, "metaisp": 1, "lan": 3}
    ordered = board.sort_values("psnr")
    assert ordered.index[0] == "lan"
    assert board["pareto_params"].all(), "each has fewer parameters than those that are better"
    assert dict(board["pareto_latency"].dropna()) == {
        name: name == ordered.index[-1] or board.loc[name, "latency_ms"] == 40 for name in ("unet", "metaisp")
    }


def test_a_latency_of_a_busy_machine_is_left_blank(grid):
    board = by_model(leaderboard(grid))
    assert np.isnan(board.loc["lan", "latency_ms"])
    assert "60% of the median" in board.loc["lan", "latency_note"]
    assert board.loc["metaisp", "latency_ms"] == 50
    (sheet,) = sheets_of(leaderboard(grid))
    assert any(note.startswith("No latency of lan: the interquartile range") for note in sheet.notes)


def test_a_latency_measured_apart_counts_before_those_of_evaluations(grid):
    rows = [
        {
            "model": "lan",
            "median_ms": 7.0,
            "iqr_ms": 0.1,
            "input": "4x224x224",
            "device": "quiet",
            "peak_memory_mb": 9.0,
        },
        {"model": "unet", "median_ms": 9.0, "iqr_ms": 3.0, "input": "4x224x224", "device": "quiet"},
    ]
    (grid / "latencies").mkdir()
    for name, date, faster in (("old", "2026-01-01", 0.5), ("new", "2026-02-01", 1.0)):
        scaled = [row | {"median_ms": row["median_ms"] * faster} for row in rows]
        content = {"date": date, "overrides": [], "models": scaled}
        (grid / "latencies" / f"{name}.json").write_text(json.dumps(content))
    special = {"date": "2026-03-01", "overrides": ["model.width=8"], "models": [rows[0] | {"median_ms": 1.0}]}
    (grid / "latencies" / "special.json").write_text(json.dumps(special))
    board = by_model(leaderboard(grid))
    assert board.loc["lan", ["latency_ms", "device", "peak_memory_mb"]].tolist() == [7.0, "quiet", 9.0]
    assert board.loc["unet", "latency_ms"] == 40, "of a busy machine"
    (grid / "latencies" / "new.json").write_text("[]")
    with pytest.raises(UserError, match=r"new\.json is no file of `ispbench profile output=`"):
        leaderboard(grid)


def test_latencies_of_two_devices_are_not_weighed_against_each_other(tmp_path):
    add_row(tmp_path, "slow", 25.0, efficiency=STEADY)
    add_row(tmp_path, "fast", 28.0, efficiency=STEADY | {"latency_ms": 1.0, "device": "server"})
    assert leaderboard(tmp_path)["pareto_latency"].all()


@pytest.mark.parametrize(
    "other",
    [
        {"track": "many-cameras"},
        {"trained_on": "photos-v1-many-cameras"},
        {"steps": 1200},
        {"rules": "0.3"},
        {"fingerprint": "f" * 16},
        {"limit": 3},
    ],
    ids=lambda other: next(iter(other)),
)
def test_what_does_not_compare_never_shares_a_ranking(other, tmp_path):
    add_row(tmp_path, "metaisp", 28.0)
    add_row(tmp_path, "unet", 20.0, **other)
    board = leaderboard(tmp_path)
    assert list(board["rank"]) == [1, 1]
    assert board["ranking_key"].nunique() == 2
    assert len(sheets_of(board)) == 2


def test_cells_of_an_ablation_are_no_rows(tmp_path):
    add_row(tmp_path, "metaisp", 28.0)
    add_row(tmp_path, "metaisp", 27.0, variant="num_bases=1")
    add_row(tmp_path, "metaisp", 29.0, variant="num_bases=4")
    add_row(tmp_path, "lan", 24.0, variant="width=8")
    board = leaderboard(tmp_path)
    assert sorted(zip(board["model"], board["variant"], strict=True)) == [("lan", "width=8"), ("metaisp", "")]
    assert len(leaderboard(tmp_path, filters=Filters(variants=True))) == 4


def test_filters(grid):
    add_row(grid, "metaisp", 22.0, track="many-cameras", date="2026-11-30T10:00:00+00:00", steps=1200)
    models = {
        "dataset=photos-v1": 4,
        "dataset=zrr*": 0,
        "track=one-camera": 3,
        "protocol=photos-v1-many*": 1,
        "budget='1,200 steps*'": 1,
        "model=*isp": 2,
        "max_params=1e6": 2,
        "min_params=1e6": 2,
        "since=2026-11-25": 1,
        "until=2026-11-25": 3,
    }
    for text, count in models.items():
        name, value = text.split("=")
        value = float(value) if "params" in name else value.strip("'")
        assert len(leaderboard(grid, filters=Filters(**{name: value}))) == count, text


def test_a_day_that_is_none_is_told():
    with pytest.raises(UserError, match="since is a day such as 2026-11-24, not 'yesterday'"):
        Filters(since="yesterday")


def test_seeds_that_were_scored_by_different_metrics_are_one_row(grid):
    path = next((grid / "evaluations").glob("lan-photos-s1-*.json"))
    record = json.loads(path.read_text())
    del record["config"]["metrics"]["ssim"], record["metrics"]["ssim"]
    path.write_text(json.dumps(record))
    lan = by_model(leaderboard(grid)).loc["lan"]
    assert lan["seeds"] == 3
    assert np.isnan(lan["ssim"]), "not every seed has it"
    name = path.stem.removesuffix(record["key"]) + "0" * 16
    again = record | {"id": name, "key": "0" * 16, "metrics": {**record["metrics"], "ssim": 0.5}}
    path.with_stem(name).write_text(json.dumps(again))
    path.with_suffix(".scores.csv").rename(path.with_stem(name).with_suffix(".scores.csv"))
    lan = by_model(leaderboard(grid)).loc["lan"]
    assert lan["seeds"] == 3
    assert lan["ssim"] > 0, "the evaluation with more scores counts"


def test_another_score_ranks_by_its_direction(grid):
    board = leaderboard(grid, "ssim")
    assert set(board["ranked_by"]) == {"ssim"}
    assert board["ssim"].is_monotonic_decreasing


class Cells(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.cells, self.open = [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.open = tag in ("td", "th")

    def handle_data(self, data):
        self.cells += [data] if self.open else []
        self.open = False


def test_every_format_opens(grid, tmp_path, capsys):
    paths = {suffix: tmp_path / f"table.{suffix}" for suffix in ("csv", "json", "md", "tex", "html")}
    for path in paths.values():
        dispatch(["leaderboard", f"results={grid}", f"output={path}"])
    board = leaderboard(grid)
    table = pd.read_csv(paths["csv"])
    assert list(table) == [*BEFORE, *scores_of(), *AFTER]
    assert list(table["psnr"]) == list(board["psnr"]), "unformatted numbers"
    content = json.loads(paths["json"].read_text(), parse_constant=pytest.fail)
    assert [row["psnr_low"] for row in content["rows"]] == pytest.approx(list(board["psnr_low"]))
    assert content["columns"]["rank"]
    lines = paths["md"].read_text().splitlines()
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
    latex = paths["tex"].read_text()
    assert [latex.count(part) for part in (r"\toprule", r"\midrule", r"\bottomrule", r"\end{tabular}")] == [1] * 4
    body = latex.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
    columns = latex.split(r"\begin{tabular}{")[1].split("}")[0]
    assert len(body) == 3
    assert all(line.endswith(r"\\") and line.count("&") == len(columns) - 1 for line in body)
    cells = Cells(paths["html"].read_text()).cells
    assert {"metaisp", "unet", "lan", "1,000,000"} <= set(cells)
    capsys.readouterr()
    with pytest.raises(UserError, match="ends in no format"):
        dispatch(["leaderboard", f"results={grid}", f"output={tmp_path / 'table.xls'}"])


def test_a_stale_file_is_told(grid):
    write_files(grid)
    check_files(grid)
    with (grid / "leaderboard.csv").open("a") as file:
        file.write("\n")
    with pytest.raises(UserError, match=r"leaderboard\.csv is not what the records give"):
        check_files(grid)
    write_files(grid)
    add_row(grid, "lan", 24.0, seeds=(3,))
    with pytest.raises(UserError, match=r"leaderboard\.md and .*evaluations\.csv are not"):
        check_files(grid)


def test_the_committed_tables_are_those_of_the_records():
    check_files(REPOSITORY / "results")


def test_tiers(grid):
    records = [record for record in store.load(grid) if record["model"] == "metaisp"]
    tiers = []
    for number, record in enumerate(records):
        verify(grid, record, "checked", {"found": {}})
        tiers.append(by_model(leaderboard(grid)).loc["metaisp", "tier"])
        assert number < 2 or tiers == ["self-reported", "self-reported", "checked"]
    path = verify(grid, records[0], "reproduced", {"found": {}})
    board = by_model(leaderboard(grid))
    assert dict(board["tier"]) == {"metaisp": "reproduced", "unet": "self-reported", "lan": "self-reported"}
    path.write_text('{"tier": "sure"}')
    with pytest.raises(UserError, match="not a readable verification"):
        leaderboard(grid)


def test_provenance(grid):
    row = by_model(leaderboard(grid)).loc["metaisp"]
    assert row["commits"] == row["training_commits"] == COMMIT
    assert not row["dirty"]
    assert len(row["weights"].split()) == len(row["training_keys"].split()) == 3


@pytest.mark.parametrize(
    "version, parts",
    [
        ("photos-v1-one-camera", ("photos-v1", "one-camera")),
        ("zrr-v1", ("zrr-v1", "")),
        ("zrr-v1-partial", ("zrr-v1", "partial")),
        ("folder", ("folder", "")),
    ],
)
def test_a_version_is_a_dataset_and_its_track(version, parts):
    assert split_track(version) == parts


def test_the_correlation_of_validation_and_test_is_printed(tmp_path, capsys):
    levels = {"a": 20.0, "b": 22.0, "c": 21.0, "d": 25.0}
    for model, level in levels.items():
        add_row(tmp_path, model, level, seeds=(1,))
    dispatch(["leaderboard", f"results={tmp_path}"])
    assert "correlate" not in capsys.readouterr().out
    add_row(tmp_path, "e", 26.0, seeds=(1,))
    dispatch(["leaderboard", f"results={tmp_path}"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "correlate at 1.00 over 5 evaluations" in printed
    assert "a row of one seed holds for that training" in printed


def test_what_learns_nothing_stands_beneath_without_a_rank(grid):
    add_row(grid, "classical", 20.0, seeds=(None,))
    board = leaderboard(grid)
    assert board["ranking_key"].nunique() == 2
    (sheet,) = sheets_of(board)
    assert [row[:2] for row in sheet.rows] == [("1", "unet"), ("1", "metaisp"), ("3", "lan"), ("", "classical")]
    (alone,) = sheets_of(board[board["model"] == "classical"])
    assert alone.rows[0][:2] == ("1", "classical")


def test_an_unknown_score_is_told(grid):
    with pytest.raises(UserError, match=r"has 'pnsr'\. Did you mean 'psnr'\? They have psnr, ssim"):
        leaderboard(grid, "pnsr")


def test_an_empty_folder_says_how_to_begin(tmp_path, capsys):
    dispatch(["leaderboard", f"results={tmp_path}"])
    assert "Start one: python -m ispbench" in capsys.readouterr().out
