"""The sweep files are valid for W&B, compose, and are the ablations' grids."""

import jsonschema
import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from ispbench.config import compose, groups
from ispbench.sweep.files import METRIC, load, shipped
from ispbench.sweep.parameters import hydra_value
from tests.conftest import REPOSITORY

FILES = {name: yaml.safe_load(path.read_text()) for name, path in shipped().items()}
ABLATIONS = sorted(path.stem for path in (REPOSITORY / "conf" / "ablation").glob("*.yaml"))
SEARCHES = ["bayes", "random"]

NUMBER = {"type": "number"}
RANGE, BELL, STEP = {"min": NUMBER, "max": NUMBER}, {"mu": NUMBER, "sigma": {"minimum": 0}}, {"q": {"minimum": 0}}


def shape(required, distribution=None, **properties):
    """A parameter with these keys and no others."""
    if distribution:
        properties["distribution"] = {"enum": distribution.split()}
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


# What W&B accepts, after config/schema.json of github.com/wandb/sweeps: the installed wandb asks its server.
PARAMETER = {
    "anyOf": [
        shape(["value"], "constant", value={}),
        shape(["values"], "categorical", values={"type": "array", "minItems": 1}),
        shape(
            ["values", "probabilities"],
            "categorical_w_probabilities",
            values={"type": "array", "minItems": 1},
            probabilities={"type": "array", "minItems": 1, "items": {"type": "number", "minimum": 0}},
        ),
        shape(["min", "max"], "int_uniform", min={"type": "integer"}, max={"type": "integer"}),
        shape(["min", "max"], "uniform", **RANGE),
        shape(["min", "max", "distribution"], "log_uniform inv_log_uniform", **RANGE),
        shape(
            ["min", "max", "distribution"],
            "log_uniform_values inv_log_uniform_values",
            **RANGE | {"min": NUMBER | {"exclusiveMinimum": 0}},
        ),
        shape(["min", "max", "distribution"], "q_uniform q_log_uniform q_log_uniform_values", **RANGE, **STEP),
        shape(["distribution"], "normal log_normal", **BELL),
        shape(["distribution"], "q_normal q_log_normal", **BELL, **STEP),
    ]
}
SCHEMA = {
    "type": "object",
    "required": ["method", "parameters", "program", "project"],  # W&B asks for the method only
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string"},
        "description": {"type": "string"},
        "project": {"type": "string"},
        "program": {"type": "string"},
        "method": {"enum": ["grid", "random", "bayes"]},
        "command": {"type": "array", "items": {"type": "string"}},
        "run_cap": {"type": "integer", "minimum": 1},
        "metric": {
            "type": "object",
            "required": ["name", "goal"],
            "additionalProperties": False,
            "properties": {"name": {"type": "string"}, "goal": {"enum": ["minimize", "maximize"]}},
        },
        "early_terminate": {
            "type": "object",
            "required": ["type", "min_iter"],
            "additionalProperties": False,
            "properties": {
                "type": {"const": "hyperband"},
                "min_iter": {"type": "integer", "minimum": 1},
                "eta": {"type": "number", "exclusiveMinimum": 1},
            },
        },
        "parameters": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_.-]*$"},
            "additionalProperties": PARAMETER,
        },
    },
}


def test_the_searches_are_there_and_are_no_group():
    assert set(SEARCHES) < set(FILES)
    assert "wandb_sweeps" not in groups()


@pytest.mark.parametrize("name", FILES)
def test_the_file_fits_the_schema(name):
    jsonschema.validate(FILES[name], SCHEMA)
    assert FILES[name]["name"] == name


@pytest.mark.parametrize(
    "broken", [{"distribution": "log_uniform_values", "min": "5e-5", "max": 0.1}, {"values": []}, {"min": 1}, 3]
)
def test_the_schema_refuses_what_wandb_refuses(broken):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(FILES["random"] | {"parameters": {"seed": broken}}, SCHEMA)


@pytest.mark.parametrize("name", FILES)
def test_the_agent_runs_an_ispbench_command(name):
    command = FILES[name]["command"]
    assert command[:4] == ["${env}", "${interpreter}", "-m", "ispbench"]
    assert command[-1] == "${args_no_hyphens}"  # key=value
    assert not any("ablation" in word for word in command)  # would be a grid in each run of the agent


@pytest.mark.parametrize("name", FILES)
def test_the_metric_is_one_that_a_run_logs(name):
    assert FILES[name]["metric"] == {"name": METRIC, "goal": "maximize"}
    assert METRIC.removeprefix("val/") in compose().metrics.validation
    assert compose().callbacks.checkpoints.monitor == METRIC


@pytest.mark.parametrize("name", sorted(set(ABLATIONS) & set(FILES)))
def test_a_sweep_file_of_an_ablations_name_is_its_grid(name):
    ablation = yaml.safe_load((REPOSITORY / "conf" / "ablation" / f"{name}.yaml").read_text())
    assert FILES[name]["method"] == "grid"
    chosen = [
        f"{key.removeprefix('override /')}={value}" for item in ablation["defaults"] for key, value in item.items()
    ]
    assert FILES[name]["command"][4:-1] == chosen
    grid = {key: given.get("values", [given.get("value")]) for key, given in FILES[name]["parameters"].items()}
    overrides = [f"{key}={values}" for key, values in ablation["hydra"]["sweeper"]["params"].items()]
    parsed = {item.get_key_element(): item for item in OverridesParser.create().parse_overrides(overrides)}
    expected = {
        key: list(item.sweep_iterator()) if item.is_sweep_override() else [item.value()] for key, item in parsed.items()
    }
    assert grid == expected
    assert list(grid) == list(expected), "the cells come in the same order"


def test_both_searches_have_the_same_space():
    assert FILES["random"]["parameters"] == FILES["bayes"]["parameters"]
    assert {"optimizer.lr", "model.width", "model.num_bases", "loss.weights.ssim"} <= set(FILES["bayes"]["parameters"])


@pytest.mark.parametrize("name", FILES)
def test_every_parameter_composes(name):
    sweep = load(name)
    first = {parameter.key: parameter.at(0) for parameter in sweep.parameters}
    last = {parameter.key: parameter.at(1) for parameter in sweep.parameters}
    for values in (first, last):
        compose(sweep.run(values))
        compose([*sweep.fixed, *(f"{key}={value}" for key, value in values.items())])  # as W&B's agent writes them
        assert all(hydra_value(value) == str(value) for value in values.values())
