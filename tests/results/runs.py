"""Runs as they stand in a results folder: a training's record and that of its evaluation."""

from ispbench.results import store
from ispbench.results.records import EvaluationRecord, TrainingRecord

EVALUATED = ("protocol", "rules", "metrics", "complexity", "efficiency", "dynamic")
COMMON = ("date", "model", "variant", "dataset", "seed", "status", "error", "data")


def only_run(results):
    """The one run of a results folder: an evaluation joined with its training."""
    (record,) = store.load(results)
    return record


def save_run(results, key, **fields):
    """Saves a run whose ids end in `key`; one without scores was never evaluated. Returns the id in lists of runs.

    Args:
        results: The results folder.
        key: Of the training and of its evaluation.
        **fields: Of either record, in place of the defaults.
    """
    fields = {
        "model": "metaisp",
        "dataset": "mini",
        "seed": 0,
        "status": "finished",
        "protocol": "mini-v1/original-gt",
        "metrics": {"psnr": 20.0, "ssim": 0.5},
    } | fields
    common = {name: fields[name] for name in COMMON if name in fields}
    only_training = {name: fields[name] for name in ("config", "training") if name in fields}
    record = TrainingRecord(key=key, **common, **only_training)
    store.save(results, record)
    if fields["metrics"]:
        evaluated = {name: fields[name] for name in EVALUATED if name in fields}
        record = EvaluationRecord(key=key, training_key=key, **common, **evaluated)
        store.save(results, record)
    return record.id
