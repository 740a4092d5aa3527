import csv
import io
import json
import os
import subprocess
import sys

import pytest

from ispbench.cli.main import dispatch
from ispbench.config import choices
from ispbench.errors import UserError
from ispbench.models.build import build_model


def rows(capsys, *arguments):
    dispatch(["models", *arguments, "format=json"])
    return json.loads(capsys.readouterr().out)


def names(capsys, *arguments):
    return [row["name"] for row in rows(capsys, *arguments)]


def test_every_model_is_listed(capsys):
    assert names(capsys) == choices("model")
    dispatch(["models"])
    printed = capsys.readouterr().out
    assert all(name in printed for name in choices("model"))
    assert "GMACs at a Bayer image of 448x448" in printed


def test_filters_and_sorting(capsys):
    found = rows(capsys, "--max-params", "1e6", "year=2024-", "--sort", "gmacs")
    assert [row["name"] for row in found] == ["robust_isp", "efficient_isp", "mobileie", "rmfa_tiny"]
    assert found[0]["gmacs"] == pytest.approx(0.079478784, abs=1e-6)
    assert names(capsys, "--year", "2023") == ["syenet"]
    assert set(names(capsys, "--year", "2022-2023")) == {
        "lan",
        "microisp",
        "nafnet_1m",
        "nafnet_w32",
        "pynet_v2",
        "syenet",
    }
    assert names(capsys, "awnet*", "--max-gmacs", "100") == ["awnet_raw"]
    params = [row["params"] for row in rows(capsys, "--sort", "params")]
    assert params == sorted(params)
    assert names(capsys, "--sort", "year")[-1] == "classical"  # of no year


def test_json_and_csv_say_the_same(capsys):
    expected = rows(capsys, "lan", "pynet*", "--size", "256x256")
    dispatch(["models", "lan", "pynet*", "--size", "256x256", "--csv"])
    read = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [{key: str(value) for key, value in row.items()} for row in expected] == read
    assert {row["size"] for row in read} == {"256x256"}


def test_models_are_listed_with_their_size(capsys):
    dispatch(["models", "lan", "c*", "size=256x256"])
    printed = capsys.readouterr().out
    lines = [line.split() for line in printed.splitlines()]
    rows = {cells[0]: cells for cells in lines if cells and cells[0] in choices("model")}
    assert list(rows) == ["lan", "classical", "convir_rhid", "csanet"]  # as typed
    model = build_model("lan")
    assert rows["lan"][1] == f"{sum(value.numel() for value in model.net.parameters()):,}"
    dispatch(["models", "lan", "size=512x256"])
    doubled = next(line.split() for line in capsys.readouterr().out.splitlines() if line.strip().startswith("lan"))
    assert float(doubled[3]) == pytest.approx(2 * float(rows["lan"][3]), abs=0.002)
    assert "256x256" in printed


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["metaips"], "There is no model 'metaips'. Did you mean 'metaisp'?"),
        (["--size", "448"], None),
        (["size=447x448"], "size has the form HEIGHTxWIDTH with even sides"),
        (["size=big"], "not 'big'"),
        (["year=MMXXIV"], "not 'MMXXIV'"),
        (["sort=color"], "sort is one of name, year, params, gmacs, not 'color'"),
    ],
)
def test_a_mistake_is_one_sentence(arguments, message):
    if message is None:
        dispatch(["models", "lan", *arguments])
        return
    with pytest.raises(UserError, match=message.replace("?", r"\?")):
        dispatch(["models", *arguments])


def test_the_list_needs_no_torch():
    code = "import sys; from ispbench.cli.main import main; sys.argv = ['ispbench', 'models', '--json']\n"
    code += "try: main()\nexcept SystemExit as stop: sys.exit(stop.code or 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == len(choices("model"))
