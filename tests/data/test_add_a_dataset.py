"""What docs/add_a_dataset.md says, done in an empty folder."""

import json

import cv2
import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from ispbench.data.packing import PackedSource
from ispbench.data.pair_grid import pair_grid
from ispbench.data.validation.check import check
from tests.conftest import REPOSITORY, TINY_METAISP, ispbench
from tests.data.trees import pairs
from tests.docs import DOCS, commands, save_files

PAGE = DOCS / "add_a_dataset.md"
FAST = [*TINY_METAISP, "data.crop=32", "data.batch_size=2", "trainer=cpu", "trainer.max_steps=2", "logger=csv"]
FAST += ["metrics=quality"]


@pytest.fixture
def folder(tmp_path, rng):
    """The files of the page, and pairs in both forms."""
    save_files(PAGE, tmp_path)
    for split in ("train", "val", "test"):
        for place in ("pairs/phone", "pairs/dslr", f"archives/{split}"):
            (tmp_path / place).mkdir(parents=True, exist_ok=True)
        for number, (mosaic, target) in enumerate(pairs(3, rng)):
            cv2.imwrite(str(tmp_path / "pairs" / "phone" / f"{split}{number}.png"), mosaic)
            cv2.imwrite(str(tmp_path / "pairs" / "dslr" / f"{split}{number}.png"), target[..., ::-1])
            np.savez(tmp_path / "archives" / split / f"{number}.npz", raw=mosaic, srgb=target)
    return tmp_path


@pytest.mark.parametrize("name", ["phone", "npz"])
def test_the_command_of_the_page_trains_on_the_dataset(name, folder):
    (command,) = (words for words in commands(PAGE) if f"data={name}" in words)
    done = ispbench(*command, *FAST, cwd=folder)
    assert done.returncode == 0, done.stderr
    (training,) = (json.loads(path.read_text()) for path in folder.glob("results/trainings/*.json"))
    (evaluation,) = (json.loads(path.read_text()) for path in folder.glob("results/evaluations/*.json"))
    assert training["status"] == evaluation["status"] == "finished"
    assert training["config"]["data"]["version"] == f"{name}-v1"
    assert evaluation["dataset"] == name
    assert evaluation["metrics"]["psnr"] > 0


def test_checks_pictures_and_packs_need_nothing_more_than_the_class(folder, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    own = OmegaConf.load(folder / "conf" / "data" / "npz.yaml")
    del own["defaults"]
    common = OmegaConf.load(REPOSITORY / "conf" / "data" / "common" / "pairs.yaml")
    places = {"root": str(folder / "archives"), "cache": str(folder / "cache")}
    data = instantiate(OmegaConf.merge(common, own, places), pack="always")
    assert not [finding for finding in check(data) if finding.level == "ERROR"]
    assert pair_grid(data, "test", [], 3, 64).shape[2] == 3
    assert isinstance(data.source("train"), PackedSource)
    np.testing.assert_array_equal(data.source("train").read(1)[0], data.open("train").read(1)[0])
