"""Values that make no sense, for every key of the configuration."""

import pytest
from omegaconf import OmegaConf

from ispbench.cli.failures import guarded
from ispbench.config import choices, compose, compose_all
from ispbench.config.schema import RULES, validate
from tests.faults.harness import Ended, some

VALUES = [
    "abc",
    "",
    -1,
    0,
    1,
    2.5,
    1e-300,
    1e308,
    float("nan"),
    float("inf"),
    10**20,
    None,
    True,
    [],
    [1],
    {},
    {"a": 1},
]
VALUES += ["../..", "\x00", "é" * 99, "[/x]"]


def leaves(node, key=""):
    """The keys of a configuration that have values."""
    for name, value in node.items():
        below = f"{key}.{name}" if key else str(name)
        if isinstance(value, dict) and value:
            yield from leaves(value, below)
        else:
            yield below


@pytest.mark.parametrize("model", some(choices("model"), 2))
def test_any_value_of_any_key_is_taken_or_refused_in_a_sentence(model, attempt):
    shipped = compose([f"model={model}"])
    plain = OmegaConf.to_container(shipped)
    keys = list(leaves(plain)) if model == choices("model")[0] else [f"model.{key}" for key in leaves(plain["model"])]
    for key in some(keys, 8):
        for value in VALUES:
            config = OmegaConf.create(plain, flags={"allow_objects": True})
            OmegaConf.update(config, key, value, merge=False)
            attempt.survived(f"values of {key.partition('.')[0]}", lambda config=config: validate(config, shipped))


TYPED = [f"{key}={value}" for key in RULES if "*" not in key for value in ("abc", "-1", ".nan", "null", "[", "{a:")]


@pytest.mark.parametrize("override", some(TYPED, 3))
def test_what_is_typed_is_taken_or_refused_in_a_sentence(override, attempt, capsys):
    status = guarded(lambda: compose_all([override]), "It goes on.")
    attempt.judge("overrides as they are typed", Ended(status, *capsys.readouterr()), (0, 1, 2))
