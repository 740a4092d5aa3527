"""Every recipe of ``conf/experiment/`` trains two steps and tests on the embedded data, from the command line."""

import copy
import logging
import re
import sys
import warnings

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra

from ispbench import create_model
from ispbench.checkpoints import read_state_dict
from ispbench.cli import main as cli
from ispbench.config import choices, compose, config_folder, networks
from ispbench.evaluation.complexity import complexity
from ispbench.models.build import build_model
from ispbench.results import store
from tests.conftest import TINY_METAISP, TINY_RUN

LITE = ["model.width=16", "model.blocks=1"]
AWNET = ["model.width=8", "model.depths=[1,1,1,1,1]", "data.megapixels=0.03", "data.crop=128"]
VGG16 = "loss.terms.vgg.network=vgg16"  # its weights need no download
VGG16_LIGHTNESS = "loss.terms.lightness.network=vgg16"
MS_SSIM = ["data.megapixels=0.06", "data.crop=176"]
# A step for each level; no checkpoints, of half a gigabyte each.
PYNET = [
    "trainer.max_steps=6",
    "trainer.val_check_interval=6",
    "+trainer.enable_checkpointing=false",
    "callbacks.checkpoints=null",
    "test=false",
]
# What each recipe is shrunk by; of a recipe without an entry nothing needs to be.
SHRUNK = {
    "awnet_demosaic_zrr": [*AWNET, "loss.weights.vgg=0", "loss.side_weights=[{charbonnier: 1}]"],
    "awnet_raw_zrr": AWNET,  # VGG features of three scales
    "convir_rhid_zrr": ["model.width=8", "model.blocks=1"],
    "csanet_zrr": [*MS_SSIM, "model.channels=8", VGG16],
    "efficient_isp_zrr": [VGG16_LIGHTNESS],
    "fourierisp_zrr": ["model.width=4", "loss.weights.vgg=0"],
    "lan_zrr": MS_SSIM,
    "liteispnet_aligned_zrr": None,  # simulated targets need no alignment: tests/training/test_aligned_targets.py
    "liteispnet_joint_zrr": [*LITE, "loss.weights.vgg=0", "protocol/flow@alignment.flow=dis"],
    "metaisp_aligned_zrr": None,
    "liteispnet_gan_zrr": [*LITE, VGG16, "loss.terms.vgg.layer=15"],
    "liteispnet_zrr": [*LITE, "loss.weights.vgg=0"],
    "metaisp_rhid_zrr": ["model.width=8", "model.basis_dim=8", "model.num_bases=2"],
    "metaisp_zrr": [*TINY_METAISP, "loss.weights.vgg=0"],
    "mwispnet_gan_zrr": [*LITE, "loss.weights.vgg=0"],
    "mwispnet_zrr": [*LITE, "loss.weights.vgg=0"],
    "nafnet_w32_zrr": ["model.width=4", "model.encoder_blocks=[1,1,1,1]"],
    "punet_zrr": ["model.width=4", VGG16],
    "pynet_short": [*PYNET, "data.megapixels=0.01", "data.crop=64"],
    "pynet_zrr": None,  # the same code as pynet_short; what differs is checked below
    "rmfa_tiny_zrr": [VGG16_LIGHTNESS],
    "robust_isp_zrr": [VGG16_LIGHTNESS],
    "unet_zrr": ["data.megapixels=0.03", "data.crop=128"],
}
RECIPES = [name for name in choices("experiment") if name != "demo" and SHRUNK.get(name, ()) is not None]
FAST = ["callbacks.images=null", "metrics.scores=[psnr,ssim]", "trainer.limit_val_batches=1", "eval.limit=2"]


@pytest.fixture
def command(monkeypatch, tmp_path):
    """The command line in this process, which spares a start of the interpreter for each recipe."""

    def run(*arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["ispbench", *arguments])
        GlobalHydra.instance().clear()
        before = {record["id"] for record in store.load(tmp_path / "results")}
        with warnings.catch_warnings(), pytest.raises(SystemExit) as stop:
            cli.main()
        assert not stop.value.code, arguments
        [record] = [record for record in store.load(tmp_path / "results") if record["id"] not in before]
        return record

    level = logging.getLogger().level
    yield run
    logging.getLogger().setLevel(level)
    GlobalHydra.instance().clear()


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_trains_and_tests(name, command):
    record = command(f"experiment={name}", *TINY_RUN, *FAST, *(SHRUNK.get(name) or []))
    assert record["status"] == "finished"
    if name == "pynet_short":
        assert record["training"]["steps"] == 6
        return
    assert record["training"]["steps"] == 2
    assert record["metrics"]["psnr"] > 0
    assert record["metrics"]["nonfinite"] == 0


def test_every_model_that_learns_has_a_recipe():
    models = {name for name in networks() if name != "classical"}
    assert {f"{name}_zrr" for name in models} <= set(choices("experiment"))


@pytest.mark.parametrize("name", choices("experiment"))
def test_the_first_comment_is_the_command_that_runs_it(name):
    first, second, *_ = (config_folder() / "experiment" / f"{name}.yaml").read_text().splitlines()
    assert first == "# @package _global_"
    assert second.startswith(f"# python -m ispbench experiment={name}")


@pytest.mark.parametrize("name", [name for name in choices("experiment") if name.endswith("_zrr")])
def test_a_zrr_recipe_stands_on_zrr_and_moves_to_other_data(name):
    config = compose([f"experiment={name}"])
    assert config.data.version.startswith("zrr")
    model = re.sub("(_gan|_aligned|_joint)?_zrr$", "", name)
    assert config.model._target_ == compose([f"model={model}"]).model._target_
    assert "black_level" in compose([f"experiment={name}", "data=mini"]).data


def test_pynets_recipe_is_its_authors_schedule():
    config = compose(["experiment=pynet_zrr"])
    levels = config.callbacks.levels
    epochs = [steps / (46_839 // batch) for steps, batch in zip(levels.steps, levels.batch_sizes, strict=True)]
    assert epochs == [8, 8, 17, 17, 25, 50]
    assert sum(levels.steps) == config.trainer.max_steps
    assert {term for weights in levels.weights for term in weights} == {
        term for term, weight in config.loss.weights.items() if weight
    }


@pytest.mark.parametrize("name, params", [("syenet", 5640), ("mobileie", 4132)])
def test_a_network_of_branches_is_tested_merged_and_its_merged_weights_load(name, params, command, tmp_path):
    record = command(f"experiment={name}_zrr", *TINY_RUN, *FAST)
    assert record["complexity"]["params"] == params
    [checkpoint] = tmp_path.glob("outputs/*/*/checkpoints/best.ckpt")
    again = command("evaluate", f"weights={checkpoint}", *FAST[1:2], "eval.split=val", "trainer=cpu")
    assert again["complexity"]["params"] == params
    torch.save({"state_dict": read_state_dict(checkpoint)}, tmp_path / "without_a_name.ckpt")
    trained = create_model(weights=tmp_path / "without_a_name.ckpt")
    merged = copy.deepcopy(trained).deploy()
    torch.save(merged.net.state_dict(), tmp_path / "merged.pth")
    raw = torch.rand(2, 4, 20, 24)
    with torch.no_grad():
        torch.testing.assert_close(
            create_model(weights=tmp_path / "merged.pth")(raw), trained(raw), atol=1e-5, rtol=1e-5
        )


def test_ensembles_are_options_of_the_evaluation_and_recorded(command, tmp_path):
    tiny = ["model.width=16", "model.blocks=1"]
    other = build_model("microisp")
    torch.save({"state_dict": other.net.state_dict()}, tmp_path / "other.ckpt")
    options = ["model=mwispnet", *tiny, *TINY_RUN, *FAST, "train=false"]
    single = command(*options)
    averaged = command(*options, f"++eval.average_with={{microisp: {tmp_path / 'other.ckpt'}}}")
    turned = command(*options, "++eval.self_ensemble=true")
    assert "self_ensemble=planes" in turned["variant"]
    assert turned["config"]["evaluation"]["eval"]["self_ensemble"]
    assert "average_with=microisp" in averaged["variant"]
    assert len({record["config_hash"] for record in (single, averaged, turned)}) == 3
    assert len({record["metrics"]["psnr"] for record in (single, averaged, turned)}) == 3
    assert turned["complexity"]["gmacs"] == pytest.approx(8 * single["complexity"]["gmacs"])
    assert turned["complexity"]["params"] == single["complexity"]["params"]
    own = complexity(other)
    assert averaged["complexity"]["params"] == single["complexity"]["params"] + own.params
    assert averaged["complexity"]["gmacs"] == pytest.approx(single["complexity"]["gmacs"] + own.gmacs)
    assert averaged["config"]["evaluation"]["eval"]["average_with"]["microisp"]


@pytest.mark.parametrize(
    "option, sentence",
    [
        ("++eval.self_ensemble=mirror", "true or false or one of planes, phase, not 'mirror'"),
        ("++eval.ensemble=true", "Unknown key 'ensemble' in eval"),
        ("++eval.average_with={microisp: nowhere.ckpt}", "There is no checkpoint file nowhere.ckpt"),
    ],
)
def test_a_wrong_ensemble_is_one_sentence(option, sentence, monkeypatch, tmp_path, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["ispbench", "model=microisp", *TINY_RUN, option])
    GlobalHydra.instance().clear()
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code
    error = capfd.readouterr().err
    assert sentence in error
    assert "Traceback" not in error
