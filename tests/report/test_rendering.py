"""Images come from the checkpoints that were scored, or the page says why there are none."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from ispbench.cli.main import dispatch
from ispbench.cli.train import train
from ispbench.errors import UserError
from ispbench.report.rendering import render_row
from ispbench.results.claims import folder_of, remember_folder
from ispbench.results.leaderboard import ranked_rows
from tests.conftest import TINY_DATA, TINY_METAISP


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with one finished run."""
    place = tmp_path_factory.mktemp("run")
    settings = ["trainer=cpu", "trainer.max_steps=2", "logger=csv", "callbacks=none", "metrics.latency=null"]
    paths = [f"paths.outputs={place}/outputs", f"paths.results={place}/results"]
    train([*TINY_METAISP, *TINY_DATA, *settings, *paths, "metrics.complexity=null", "metrics.scores=[psnr]"])
    return place


def test_an_image_has_the_score_that_was_recorded(folder):
    (row,) = ranked_rows(folder / "results")
    scores = pd.read_csv(folder / "results" / "evaluations" / f"{row.records[0]['id']}.scores.csv").set_index("image")
    names = list(scores.index[[0, -1]])
    images = render_row(row, names, folder / "outputs")
    assert list(images) == names
    for name, sides in images.items():
        error = (sides.output.astype(float) - sides.target) / 255
        assert -10 * np.log10((error**2).mean()) == pytest.approx(scores["psnr"][name], abs=1e-3)


def test_weights_that_were_not_scored_render_nothing(folder, tmp_path):
    (row,) = ranked_rows(folder / "results")
    key = row.records[0]["training_key"]
    moved = shutil.copytree(folder_of(folder / "outputs", key), tmp_path / "moved")
    remember_folder(tmp_path, key, moved)
    checkpoint = moved / "checkpoints" / f"{row.records[0]['checkpoint']['name']}.ckpt"
    assert render_row(row, [], tmp_path) == {}
    content = torch.load(checkpoint, weights_only=False)
    content["state_dict"] = {name: value + 1 for name, value in content["state_dict"].items()}
    torch.save(content, checkpoint)
    with pytest.raises(UserError, match="moved holds another checkpoint than the one that was scored"):
        render_row(row, [], tmp_path)
    checkpoint.unlink()
    with pytest.raises(UserError, match=r"moved has no checkpoints/last\.ckpt"):
        render_row(row, [], tmp_path)


def test_the_verb_writes_a_page_with_images(folder, tmp_path, capsys):
    page = tmp_path / "new" / "page.html"
    places = [f"results={folder}/results", f"outputs={folder}/outputs"]
    dispatch(["report", *places, f"output={page}"])
    assert f"wrote {page} (0." in capsys.readouterr().out
    assert len(re.findall("data:image/webp;base64", page.read_text())) >= 4  # two images, each beside its target
    dispatch(["report", *places, f"output={page}", "images=false"])
    assert "data:image/webp" not in page.read_text()
    assert "made without images" in page.read_text()


def test_runs_that_are_elsewhere_are_told(folder, tmp_path):
    page = tmp_path / "page.html"
    dispatch(["report", f"results={folder}/results", f"outputs={tmp_path}", f"output={page}"])
    assert re.search("No images are at hand. metaisp [a-z0-9_= ]+: the output folder holds no run", page.read_text())


def test_a_missing_results_folder_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="There is no folder"):
        dispatch(["report", f"results={tmp_path}/none", f"output={tmp_path}/page.html"])
