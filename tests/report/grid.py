"""Results as a grid leaves them, without the training: records, and scores of single images."""

import numpy as np
import pandas as pd

from ispbench.results import store
from ispbench.results.keys import key_of
from ispbench.results.records import EvaluationRecord, TrainingRecord

CAMERAS, ISOS, PHOTOS = ("imx219", "imx708"), (100, 1600, 800), 8
PROTOCOL = "photos-v1-many-cameras/original-gt"


def save_grid(results, models, seeds=(0, 1, 2), protocol=PROTOCOL, config=None, variant="", distance=1.0):
    """Saves the records of models, each `distance` dB better than the one before; their scores vary by image and seed.

    Args:
        results: The results folder.
        models: Their names.
        seeds: Of each model.
        protocol: Of all.
        config: Of the trainings.
        variant: Of all.
        distance: In dB.
    """
    rng = np.random.default_rng(0)
    photos = [f"photo{number}" for number in range(PHOTOS) for _ in CAMERAS for _ in ISOS]
    images = pd.DataFrame({"image": [f"image{number:02}" for number in range(len(photos))], "photo": photos})
    images["camera"] = [name for _ in range(PHOTOS) for name in CAMERAS for _ in ISOS]
    images["iso"] = list(ISOS) * (PHOTOS * len(CAMERAS))
    difficulty = rng.normal(0, 2, PHOTOS).repeat(len(CAMERAS) * len(ISOS))
    for number, model in enumerate(models):
        for seed in seeds:
            psnr = 20 + distance * number + difficulty + rng.normal(0, 0.3, len(images)) + rng.normal(0, 0.1)
            scores = images.assign(psnr=psnr, lpips=0.9 - psnr / 50)
            _save(results, number, model, seed, protocol, config or {}, variant, scores)


def _save(results, number, model, seed, protocol, config, variant, scores):
    common = {"model": model, "dataset": "photos", "variant": variant, "seed": seed, "status": "finished"}
    common["git"] = {"commit": "5263ad9c988c62ad158f76276e37d466d29748cd", "dirty": False}
    key = key_of({"model": model, "seed": seed, "protocol": protocol, "variant": variant})
    settings = {"steps": 600, "devices": "1 x cpu"}
    whole = {"model": {"_target_": model}, "data": {"version": protocol.partition("/")[0], "batch_size": 8, "crop": 64}}
    whole |= {"seed": seed, **config}
    store.save(results, TrainingRecord(key=key, config=whole, training=settings, **common))
    record = EvaluationRecord(
        key=key,
        training_key=key,
        protocol=protocol,
        command=[f"model={model}", f"seed={seed}"],
        metrics={name: float(scores[name].mean()) for name in ("psnr", "lpips")} | {"nonfinite": 0},
        data={"fingerprint": "b8f74c606d8c1227", "n_images": len(scores)},
        complexity={"params": 50_000 * 2**number, "gmacs": 1.5 * 1.6**number, "gmacs_input": "4x224x224"},
        efficiency={"latency_ms": 5.0 * 1.5**number, "latency_iqr_ms": 0.1, "device": "CPU (AMD EPYC), 1 thread"},
        checkpoint={"name": "last"},
        weights=key,
        config={"metrics": {}},
        **common,
    )
    store.save(results, record, scores.to_csv(index=False))
