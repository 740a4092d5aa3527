"""What a run is: the part of its configuration that decides the numbers, in the record it begins with."""

import datetime
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from ispbench.files import hash_file
from ispbench.models.ensemble import Evaluation
from ispbench.results.record import Record

# What of a configuration decides the numbers; the rest is where things lie and how they are shown.
_RECIPE = (
    "model",
    "data",
    "loss",
    "optimizer",
    "scheduler",
    "trainer",
    "metrics",
    "protocol",
    "seed",
    "train",
    "test",
    "compile",
    "weights",
)
# Callbacks that change what is trained or tested, where a recipe has them.
_CHANGES = ("levels", "deploy")
_PLACES = ("root", "cache", "pack")


def new_record(config: DictConfig) -> Record:
    """The record of a run that is about to begin.

    Args:
        config: The composed configuration, inside a Hydra job.
    """
    hydra = HydraConfig.get()
    overrides = [item for item in hydra.overrides.task if item.lstrip("+").startswith("model.")]
    resolved = OmegaConf.to_container(config, resolve=True)
    assert isinstance(resolved, dict)
    recipe = {key: resolved[key] for key in _RECIPE}
    recipe["data"] = {key: value for key, value in recipe["data"].items() if key not in _PLACES}
    recipe["protocol"].pop("cache", None)
    recipe["ema"] = resolved["callbacks"].get("ema")
    recipe |= {name: options for name in _CHANGES if (options := resolved["callbacks"].get(name))}
    if config.weights and Path(config.weights).is_file():
        recipe["weights"] = hash_file(Path(config.weights))
    variant = [item.lstrip("+").removeprefix("model.") for item in overrides]
    if ensemble := str(evaluation(config)):
        recipe["eval"] = ensemble
        variant.append(ensemble)
    choices = hydra.runtime.choices
    started = datetime.datetime.now(datetime.UTC)
    return Record(
        id=f"{started:%Y%m%d-%H%M%S-%f}-{choices['model']}-{choices['data']}-s{config.seed}",
        model=choices["model"],
        variant=" ".join(sorted(variant)),
        dataset=choices["data"],
        protocol="",
        seed=config.seed,
        config=recipe,
    )


def evaluation(config: DictConfig) -> Evaluation:
    """How the model is tested: ``eval:`` of the configuration."""
    return Evaluation(**{str(name): value for name, value in config.eval.items()})
