"""``ispbench evaluate``: the weights of a run or of a file, scored anew."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf, open_dict

from ispbench.checkpoint_files import Checkpoint, read
from ispbench.checkpoints import describe, identify, weights_file
from ispbench.config import build, chosen, compose_run, load_run, require_values
from ispbench.evaluation import configured
from ispbench.evaluation.configured import Source
from ispbench.models.recognize import Recognition
from ispbench.results import store
from ispbench.results.claims import claim, settled
from ispbench.results.commands import repeatable
from ispbench.results.records import EvaluationRecord


def evaluate_weights(weights: str, overrides: list[str]) -> tuple[EvaluationRecord, Path, bool]:
    """Scores weights and stores the record, unless that was done before.

    Args:
        weights: A run folder, a checkpoint, or the authors' file.
        overrides: Of the configuration: that of the run, where there is one, else the default with the model that the
            weights tell, or with ``model=NAME``.

    Returns:
        The record, its file, and whether it was made now.

    Raises:
        UserError: for weights of another model, unknown overrides, or unreadable pairs.
    """
    config, file = configuration_of(weights, overrides)
    with open_dict(config):
        config.command = [*(config.get("command") or ()), *repeatable(overrides)]
    about = describe(file)
    model = config.choices.model
    own = about.get("model") == model
    source = Source(
        model=model,
        dataset=config.choices.data,
        variant=about.get("variant", "") if own else "",
        seed=about.get("seed") if own else None,
        training_key=about.get("training") if own else None,
        weights=file,
    )
    data = build(config.data)
    data.num_workers = config.num_workers
    data.prepare_data()
    protocol = build(config.protocol)
    record = configured.plan(config, data, protocol, source)
    results = Path(config.paths.results)
    path = store.path_of(results, record)
    with claim(Path(config.paths.outputs).absolute(), record.key, wait=True):
        earlier = store.find(results, "evaluation", record.key)
        if earlier and settled(earlier, config.overwrite):
            return store.evaluation_of(earlier), path, False
        configured.run(record, config, data, protocol, source, build(config.model))
    return record, path, True


def configuration_of(weights: str, overrides: list[str]) -> tuple[DictConfig, Checkpoint]:
    """The configuration that weights are used under, and the weights, read once; see `evaluate_weights`.

    Raises:
        UserError: for weights of no known model, and for unknown overrides.
    """
    model = chosen(overrides, "model")
    select = next((item.partition("=")[2] for item in overrides if item.startswith("eval.checkpoint=")), None)
    file = read(weights_file(weights, select, model))
    folder = file.path.parent.parent
    if (folder / "config.yaml").is_file():
        return load_run(folder, overrides), file
    return _compose(identify(file, model), overrides), file


def _compose(found: Recognition, overrides: list[str]) -> DictConfig:
    """The configuration for a file that belongs to no run."""
    config = compose_run([f"model={found.name}", *(item for item in overrides if not item.startswith("model="))])
    typed = {item.lstrip("+").partition("=")[0] for item in overrides}
    with open_dict(config):
        untyped = {key: value for key, value in found.options.items() if f"model.{key}" not in typed}
        config.model = OmegaConf.merge(config.model, untyped)
        config.paths.run = str(Path(config.paths.outputs) / "evaluate")
    require_values(config)
    return config
