"""A small grid as it stands in a results folder: trainings, evaluations and the scores of their images."""

import numpy as np
import pandas as pd

from ispbench.results import store
from ispbench.results.keys import key_of
from ispbench.results.records import RULES, EvaluationRecord, TrainingRecord

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PHOTOS, CAPTURES = 8, 3
STEADY = {
    "latency_ms": 50.0,
    "latency_iqr_ms": 2.0,
    "latency_input": "4x224x224",
    "device": "laptop",
    "precision": "f32",
}


def add_row(results, model="metaisp", level=28.0, seeds=(0, 1, 2), **fields):
    """Saves a model's evaluations, one a seed.

    Args:
        results: The results folder.
        model: Its name.
        level: The mean of its PSNR.
        seeds: Of the trainings; None for a model that learns nothing.
        **fields: steps, track, trained_on, variant, scatter (of the seeds), params, efficiency, fingerprint, rules,
            limit, date.

    Returns:
        The ids of the evaluations.
    """
    return [_add(results, model, level, seed, **fields) for seed in seeds]


def _add(results, model, level, seed, steps=600, track="one-camera", variant="", scatter=0.1, **fields):
    version, fingerprint = f"photos-v1-{track}", fields.get("fingerprint", key_of({"track": track}))
    common = {"model": model, "dataset": "photos", "variant": variant, "seed": seed, "status": "finished"}
    common |= {"git": {"commit": COMMIT, "dirty": False}, "date": fields.get("date", "2026-11-24T10:00:00+00:00")}
    weights, training = None, None
    if seed is not None:
        data = {"batch_size": 8, "crop": 64, "version": fields.get("trained_on", version)}
        config = {"model": {"name": f"{model} {variant}"}, "data": data, "seed": seed, "trainer": {"max_steps": steps}}
        weights = key_of({"weights": config})
        about = {"steps": steps, "val_psnr": level, "checkpoints": {"last": weights}}
        training = TrainingRecord(key=key_of(config), config=config, training=about, **common)
        store.save(results, training)
    scores = _scores(model, level, seed, scatter)
    rules = fields.get("rules", RULES)
    config = {"data": {"pairs": fingerprint}, "protocol": {"name": "original-gt"}, "split": "test", "rules": rules}
    config |= {"metrics": {"psnr": {"version": 1}, "ssim": {"version": 1}}, "limit": fields.get("limit")}
    config |= {"source": {"training": training.key} if training else {"model": f"{model} {variant}"}}
    names = ["psnr", "ssim"]
    record = EvaluationRecord(
        key=key_of(config),
        config=config,
        protocol=f"{version}/original-gt",
        rules=rules,
        origin="training" if training else "weights",
        training_key=training and training.key,
        weights=weights,
        simulated=True,
        checkpoint={"name": "last", "step": steps, "val_psnr": level} if training else {},
        metrics={**scores[names].mean().to_dict(), "nonfinite": 0},
        by={
            "photo": {
                photo: {"n_images": len(rows), **rows[names].mean().to_dict()}
                for photo, rows in scores.groupby("photo", sort=False)
            }
        },
        data={"fingerprint": fingerprint, "n_images": len(scores)},
        complexity={"params": fields["params"], "gmacs": fields["params"] / 1e5} if "params" in fields else {},
        efficiency=fields.get("efficiency", {}),
        **common,
    )
    store.save(results, record, scores.to_csv(index=False))
    return record.id


def _scores(model, level, seed, scatter):
    """Photographs differ by 2 dB, the captures of one by 0.3 dB, and a seed moves all of them."""
    photos = np.random.default_rng(0).normal(0, 2, PHOTOS).repeat(CAPTURES)
    noise = np.random.default_rng([sum(model.encode()), 0 if seed is None else seed + 1])
    psnr = level + photos + noise.normal(0, 0.3, photos.size)
    psnr += 0 if seed is None else scatter * (seed % 3 - 1)
    names = [f"photo{number}" for number in range(PHOTOS)]
    return pd.DataFrame(
        {
            "image": [f"{name}@{capture}" for name in names for capture in range(CAPTURES)],
            "photo": np.repeat(names, CAPTURES),
            "psnr": psnr.astype(np.float32),
            "ssim": (psnr / 40).astype(np.float32),
        }
    )
