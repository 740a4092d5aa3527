"""An evaluation from a configuration to its record."""

import traceback
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from ispbench.checkpoint_files import Checkpoint
from ispbench.checkpoints import load_weights, progress_of
from ispbench.data.datamodule import PairedDataModule
from ispbench.errors import UserError
from ispbench.evaluation.complexity import complexity
from ispbench.evaluation.deploy import merge_branches
from ispbench.evaluation.dynamic import compare_with_fixed
from ispbench.evaluation.evaluate import Observer, Result, best_device, evaluate
from ispbench.evaluation.latency import latency
from ispbench.evaluation.sizes import SIZES
from ispbench.files import hash_file, refuse_unwritable
from ispbench.metrics.perceptual import LPIPS
from ispbench.metrics.table import TABLE, Metric, choose
from ispbench.models.build import build_model
from ispbench.models.dynamic import recorded
from ispbench.models.ensemble import Evaluation as Ensemble
from ispbench.models.interface import ISPModel
from ispbench.protocols.base import Protocol
from ispbench.results import store
from ispbench.results.keys import canonical, code_digest, key_of
from ispbench.results.latencies import as_recorded
from ispbench.results.records import RULES, EvaluationRecord


@dataclass(frozen=True)
class Source:
    """Where the scored weights come from.

    Attributes:
        model: Its name in records.
        dataset: The name of the dataset's configuration.
        variant: Settings of the model other than its default.
        seed: Of the training; None if unknown.
        training_key: Of the training; None for weights from elsewhere.
        weights: The checkpoint; None for a model as it is built.
    """

    model: str
    dataset: str
    variant: str = ""
    seed: int | None = None
    training_key: str | None = None
    weights: Checkpoint | None = None


def metrics_of(config: DictConfig) -> dict[str, Metric]:
    """The metrics that a configuration's group ``metrics`` asks for."""
    chosen = choose(list(config.scores), OmegaConf.to_container(config.extra, resolve=True))  # type: ignore[arg-type]
    path = config.get("lpips_weights")
    if path and "lpips" in chosen:
        chosen["lpips"] = replace(TABLE["lpips"], function=partial(LPIPS, "alex", path))
    return chosen


def base_identity(config: DictConfig, data: PairedDataModule, protocol: Protocol) -> dict[str, Any]:
    """What of an evaluation's key has nothing to do with who made the images."""
    split = config.eval.split
    return {
        "data": {"pairs": data.source(split).fingerprint[:16], "levels": [data.black_level, data.white_level]},
        "protocol": protocol.identity() | ({"code": code} if (code := code_digest(protocol)) else {}),
        "split": split,
        "limit": config.eval.limit,
        "metrics": {name: _metric_identity(metric) for name, metric in metrics_of(config.metrics).items()},
        "rules": RULES,
    }


def plan(config: DictConfig, data: PairedDataModule, protocol: Protocol, source: Source) -> EvaluationRecord:
    """The record of an evaluation that is to be made, with its key.

    How long the network takes and how many operations it needs are measured beside the scores and are no identity.
    """
    options, origin = _options(config), _source_identity(config, source)
    identity = canonical({**base_identity(config, data, protocol), "eval": options, "source": origin})
    return EvaluationRecord(
        key=key_of(identity),
        model=source.model,
        variant=" ".join(part for part in (source.variant, str(_ensemble(config))) if part),
        dataset=source.dataset,
        seed=source.seed,
        command=list(config.get("command") or ()),
        config=identity,
        protocol=protocol.full_name(data),
        split=config.eval.split,
        origin="training" if source.training_key else "weights",
        training_key=source.training_key,
        simulated=data.simulated,
        notes=dict(data.notes),
    )


def run(
    record: EvaluationRecord,
    config: DictConfig,
    data: PairedDataModule,
    protocol: Protocol,
    source: Source,
    model: ISPModel,
    observers: Sequence[Observer] = (),
    writes: bool = True,
) -> Result:
    """Scores a model, measures it, and stores the record; a failure is stored as well.

    Args:
        record: From `plan`.
        config: The configuration.
        data: Its dataset.
        protocol: What outputs are compared with.
        source: Where the weights come from.
        model: Without these weights.
        observers: See `ispbench.evaluation.evaluate.evaluate`.
        writes: Whether this process, of those that share the work, measures and writes.

    Raises:
        UserError: for weights of another model, unreadable pairs, or other outputs than images.
    """
    results = Path(config.paths.results)
    scores: str | None = None
    if writes:
        refuse_unwritable(results)
    try:
        tested = prepare(record, config, data, source, model)
        if writes and config.metrics.complexity:
            record.complexity = _complexity(tested, **config.metrics.complexity)
        options = {
            "device": _device(config),
            "precision": config.eval.precision,
            "limit": config.eval.limit,
        }
        watched: AbstractContextManager[list[Any]] = recorded(tested) if config.metrics.dynamic else nullcontext([])
        with watched as weights:
            result = evaluate(
                tested,
                data,
                protocol,
                config.eval.split,
                metrics_of(config.metrics),
                observers=observers,
                **options,
            )
        if weights and "psnr" not in result.summary:
            record.notes["dynamic"] = "not probed: there is no mean PSNR"
        elif weights:
            live = result.summary["psnr"]
            gain = compare_with_fixed(tested, weights, live, data, protocol, config.eval.split, **options)
            record.dynamic = asdict(gain)
        if writes and config.metrics.latency:
            record.efficiency = _latency(tested, **config.metrics.latency)
        record.metrics, record.by, record.data = dict(result.summary), dict(result.by), record.data | result.data
        record.notes |= result.notes
        record.data["eval_batch_size"] = data.eval_batch_size
        scores, record.status = result.scores.to_csv(index=False), "finished"
        return result
    except (KeyboardInterrupt, SystemExit):
        record.status, record.error = "interrupted", "interrupted during the evaluation"
        raise
    except BaseException as error:
        record.status = "failed"
        record.error = str(error) if isinstance(error, UserError) else traceback.format_exc()
        raise
    finally:
        if writes:
            store.save(results, record, scores)


def prepare(
    record: EvaluationRecord, config: DictConfig, data: PairedDataModule, source: Source, model: ISPModel
) -> ISPModel:
    """The model as it is tested: with its weights, merged, on its device, in an ensemble.

    Args:
        record: Is told the hash of the weights, and which checkpoint they are.
        config: The configuration.
        data: The dataset, whose levels the model takes.
        source: Where the weights come from.
        model: Without these weights.

    Raises:
        UserError: for weights of another model.
    """
    if source.weights is not None:
        load_weights(model, source.weights, source.model)
        record.weights = source.weights.hash
        if source.training_key:
            record.checkpoint = {"name": source.weights.path.stem, **progress_of(source.weights)}
    model.set_levels(data.black_level, data.white_level)
    model = model.eval().to(_device(config))
    if config.eval.deploy:
        merge_branches(model)
    if config.compile:
        model.net.compile()

    def other(name: str, path: str) -> ISPModel:
        further = build_model(name)
        load_weights(further, path, name)
        return further

    return _ensemble(config).wrap(model, other).eval().to(_device(config))


def _device(config: DictConfig) -> torch.device:
    return torch.device("cpu") if config.trainer.accelerator == "cpu" else best_device()


def _ensemble(config: DictConfig) -> Ensemble:
    return Ensemble(config.eval.self_ensemble, config.eval.average_with)


def _options(config: DictConfig) -> dict[str, Any]:
    """What of ``eval:`` moves a score; files by their content."""
    options: Any = OmegaConf.to_container(config.eval, resolve=True)
    for name in ("split", "limit"):
        options.pop(name)
    others = options["average_with"] or {}
    options["average_with"] = {name: hash_file(Path(path)) for name, path in others.items() if Path(path).is_file()}
    return options | {"compile": config.compile}


def _source_identity(config: DictConfig, source: Source) -> dict[str, Any]:
    """The training, or the network with the hash of its weights."""
    if source.training_key:
        return {"training": source.training_key}
    model: Any = OmegaConf.to_container(config.model, resolve=True)
    code = code_digest(get_object(config.model._target_))
    weights = source.weights.hash if source.weights else f"untrained, seed {source.seed}"
    return {"model": model, "code": code, "weights": weights}


def _metric_identity(metric: Metric) -> dict[str, Any]:
    code = code_digest(metric.function)
    options = dict(metric.options)
    return {"version": metric.version} | ({"code": code} if code else {}) | ({"options": options} if options else {})


def _complexity(model: ISPModel, height: int, width: int) -> dict[str, Any]:
    counted = asdict(complexity(model, height, width))
    found = {"gmacs_input" if name == "input" else name: value for name, value in counted.items()}
    for name, size in SIZES.items():
        if size != (height, width):
            found[f"gmacs_{name}"] = complexity(model, *size).gmacs
    return found


def _latency(model: ISPModel, height: int, width: int, repetitions: int) -> dict[str, Any]:
    return as_recorded(asdict(latency(model, height, width, repetitions=repetitions)))
