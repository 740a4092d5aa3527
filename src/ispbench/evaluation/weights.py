"""``ispbench evaluate``: the weights of a run or of a file, scored anew."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf, open_dict

from ispbench.checkpoints import describe, weights_file
from ispbench.config import build, compose_run, load_run, require_values
from ispbench.errors import UserError
from ispbench.evaluation import configured
from ispbench.evaluation.configured import Source
from ispbench.results import store
from ispbench.results.claims import claim, settled
from ispbench.results.records import EvaluationRecord


def evaluate_weights(weights: str, overrides: list[str]) -> tuple[EvaluationRecord, Path, bool]:
    """Scores weights and stores the record, unless that was done before.

    Args:
        weights: A run folder, a checkpoint, or the authors' file.
        overrides: Of the configuration: that of the run, where there is one, else the default with ``model=NAME``.

    Returns:
        The record, its file, and whether it was made now.

    Raises:
        UserError: for weights of another model, unknown overrides, or unreadable pairs.
    """
    path = Path(weights)
    folder = next((place for place in (path, path.parent.parent) if (place / "config.yaml").is_file()), None)
    select = next((item.partition("=")[2] for item in overrides if item.startswith("eval.checkpoint=")), None)
    file = weights_file(path, select)
    about = describe(file)
    config = load_run(folder, overrides) if folder else _compose(about.get("model"), about.get("options"), overrides)
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


def _compose(name: str | None, options: dict[str, object] | None, overrides: list[str]) -> DictConfig:
    """The configuration for a file that belongs to no run."""
    if name is None and not any(item.startswith("model=") for item in overrides):
        raise UserError("Say which model these weights are of: model=NAME.")
    config = compose_run([*([f"model={name}"] if name else []), *overrides])
    with open_dict(config):
        if config.choices.model == name:
            config.model = OmegaConf.merge(config.model, options or {})
        config.paths.run = str(Path(config.paths.outputs) / "evaluate")
    require_values(config)
    return config
