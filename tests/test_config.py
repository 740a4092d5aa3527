"""Every configuration file composes, and mistakes name what is valid."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hydra.utils import get_class, get_method
from omegaconf import OmegaConf

import ispbench.conf
from ispbench.config import choices, compose, compose_all, groups
from ispbench.errors import UserError
from tests.conftest import REPOSITORY

FILES = sorted(path.relative_to(REPOSITORY / "conf") for path in (REPOSITORY / "conf").rglob("*.yaml"))
NESTED = {"loss/terms": [], "data/common": [], "protocol/flow": ["protocol=aligned-gt-raw"]}
NESTED["protocol/mapping"] = NESTED["protocol/flow"]
CHOICES = [(group, name) for group in [*groups(), *NESTED] for name in choices(group)]
OPTIONAL = {"joblib", "submitit_local", "submitit_slurm", "ray"}  # launchers of the extra `launch`


def test_the_groups_are_there():
    expected = "model data loss optimizer scheduler trainer logger metrics experiment paths launcher callbacks"
    assert set(f"{expected} budget debug".split()) <= set(groups())


def test_every_file_is_a_choice():
    found = {(path.parent.as_posix(), path.stem) for path in FILES if path.name != "config.yaml"}
    assert found == set(CHOICES)


@pytest.mark.parametrize("group, name", CHOICES, ids=[f"{group}={name}" for group, name in CHOICES])
def test_every_choice_composes_and_its_targets_exist(group, name):
    try:
        config = compose([*NESTED.get(group, []), f"{group}={name}"])
    except UserError:
        if name in OPTIONAL:
            pytest.skip("needs the extra launch")
        raise
    for target in targets(OmegaConf.to_container(config)):
        try:
            get_class(target)
        except ValueError:
            get_method(target)


def targets(node):
    if isinstance(node, dict):
        if "_target_" in node:
            yield node["_target_"]
        for value in node.values():
            yield from targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from targets(value)


@pytest.mark.parametrize("path", FILES, ids=map(str, FILES))
def test_files_are_small_and_valid(path):
    text = (REPOSITORY / "conf" / path).read_text()
    yaml.safe_load(text)
    if path.name != "config.yaml":
        assert len(text.splitlines()) <= 36, "one choice a file, kept small"


@pytest.mark.parametrize(
    "override, message",
    [
        ("model=metaips", r"Unknown choice model=metaips\. Did you mean 'metaisp'\? Valid choices: .*pynet"),
        ("model.num_base=3", r"Unknown key 'num_base' in model\. Did you mean 'num_bases'\?"),
        ("modle=metaisp", r"Unknown key 'modle' in the configuration\. Did you mean 'model'\?"),
        ("optimizer=adamm", r"Did you mean 'adam"),
    ],
)
def test_a_typo_is_answered_with_the_valid_names(override, message):
    with pytest.raises(UserError, match=message):
        compose([override])


def test_composing_and_help_import_neither_torch_nor_lightning():
    program = (
        "import sys; from ispbench.config import compose;"
        "from ispbench.cli.main import dispatch;"
        "compose(['model=metaisp']); dispatch(['--help']);"
        "print([name for name in sys.modules if name.split('.')[0] in ('torch', 'pytorch_lightning', 'cv2', 'pandas')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_configuration_is_a_package():
    assert Path(next(iter(ispbench.conf.__path__))) == REPOSITORY / "conf"


BUDGETS = {"mini": (2000, 200), "zrr": (230000, 2900), "rhid": (500000, 5000), "folder": (20000, 1000)}


@pytest.mark.parametrize("data", BUDGETS)
def test_a_dataset_brings_its_budget(data):
    config = compose([f"data={data}"])
    assert (config.trainer.max_steps, config.trainer.val_check_interval) == BUDGETS[data]
    assert "max_steps" not in config.data


@pytest.mark.parametrize(
    "overrides, steps, interval",
    [
        (["experiment=unet_zrr"], 230000, 2900),
        (["experiment=pynet_v2_zrr", "data=mini"], 500000, 200),  # the recipe's steps, the other data's validations
        (["experiment=pynet_short", "trainer.max_steps=7"], 7, 50),
        (["ablation=width", "data=rhid"], 500000, 5000),
        (["ablation=width", "experiment=pynet_short"], 300, 50),
        (["data=zrr", "budget=mini"], 2000, 200),
        (["data=zrr", "trainer=gpu"], 230000, 2900),
        (["data=zrr", "trainer.val_check_interval=3"], 230000, 3),
    ],
)
def test_the_budget_follows_the_data_and_gives_way(overrides, steps, interval):
    trainer = compose(overrides).trainer
    assert (trainer.max_steps, trainer.val_check_interval) == (steps, interval)


def test_data_without_a_budget_train_for_the_trainers_own(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.yaml").write_text("defaults: [mini, _self_]\nnum_train: 5\n")
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\ndefaults: [{override /data: mine}]\n")
    for choice in ("data=mine", "experiment=mine"):
        (config,) = compose_all([choice, "--config-dir", str(tmp_path)])
        assert config.data.num_train == 5
        assert (config.trainer.max_steps, config.trainer.val_check_interval) == (20000, 1000)


def test_what_datasets_share_is_no_dataset():
    assert "common" not in choices("data")
    assert compose(["data=mini", "data/common=pairs"]).data.on_error == "raise"
    with pytest.raises(
        UserError, match=r"Valid choices: camera, folder, mai21, mini, (?!.*(common|pairs|simulated)).*zrr\."
    ):
        compose(["data=pairs"])


def test_weights_are_averaged_where_a_recipe_or_the_user_says_so():
    assert set(compose(["callbacks=none"]).callbacks) == {"stop", "checkpoints"}
    assert set(compose().callbacks) == {"stop", "checkpoints", "progress", "images"}
    assert compose(["callbacks=ema"]).callbacks.ema.decay == 0.999
    averaged = {name for name in choices("experiment") if "ema" in compose([f"experiment={name}"]).callbacks}
    assert {
        "unet_zrr",
        "microisp_zrr",
        "fourierisp_zrr",
        "pynet_v2_zrr",
        "metaisp_rhid_zrr",
    } <= averaged
    assert averaged.isdisjoint(
        {"mini", "metaisp_zrr", "liteispnet_zrr", "pynet_zrr", "pynet_short", "syenet_zrr", "lan_zrr"}
    )


@pytest.mark.parametrize("name", choices("debug"))
def test_debugging_wins_over_the_recipe_and_keeps_its_results_apart(name):
    config = compose(["experiment=mini", f"debug={name}"])
    assert config.trainer.accelerator == "cpu"
    assert config.trainer.max_steps <= 200
    assert "ema" not in config.callbacks
    assert config.paths.outputs == "outputs/debug"
    assert config.paths.results == "outputs/debug/results"
    assert "wandb" not in config.logger
    assert config.num_workers == 0
