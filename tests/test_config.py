"""Every configuration file composes, and mistakes name what is valid."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hydra.utils import get_class, get_method
from omegaconf import OmegaConf

import ispbench.conf
from ispbench.config import choices, compose, groups
from ispbench.errors import UserError
from tests.conftest import REPOSITORY

FILES = sorted(path.relative_to(REPOSITORY / "conf") for path in (REPOSITORY / "conf").rglob("*.yaml"))
CHOICES = [(group, name) for group in groups() for name in choices(group)]
OPTIONAL = {"joblib", "submitit_local", "submitit_slurm", "ray"}  # launchers of the extra `launch`


def test_the_groups_are_there():
    expected = "model data loss optimizer scheduler trainer logger metrics experiment paths launcher callbacks"
    assert set(expected.split()) <= set(groups())


@pytest.mark.parametrize("group, name", CHOICES, ids=[f"{group}={name}" for group, name in CHOICES])
def test_every_choice_composes_and_its_targets_exist(group, name):
    try:
        config = compose([f"{group}={name}"])
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
