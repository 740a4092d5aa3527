"""The callbacks as Lightning drives them."""

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from ispbench.metrics.callbacks import ComplexityCallback, LatencyCallback, QualityCallback
from ispbench.metrics.quality import psnr, quantize
from ispbench.protocols.base import OriginalGT, Reference
from tests.metrics.toy import Toy, ToyData, images_of


def evaluate(callback, data, corrupt=None, validate=False, **options):
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        callbacks=[callback],
        **options,
    )
    (trainer.validate if validate else trainer.test)(Toy(corrupt), datamodule=data, verbose=False)
    return trainer


def test_every_score_of_every_image():
    data = ToyData(count=5, size=(180, 190))
    quality = QualityCallback(lpips=None)
    evaluate(quality, data)
    names = ["psnr", "ssim", "ssim_sample", "ms_ssim", "psnr_channel", "psnr_luminance", "ciede2000"]
    assert quality.scores.columns.tolist() == ["image", *names, "psnr_unrounded", "ssim_unrounded"]
    assert quality.scores["image"].tolist() == [f"toy{i}" for i in range(5)]
    raw, target = images_of(data)
    outputs = Toy()(raw)
    np.testing.assert_array_equal(quality.scores["psnr"], psnr(quantize(outputs), target))
    np.testing.assert_array_equal(quality.scores["psnr_unrounded"], psnr(outputs.clamp(0, 1), target))
    for name in names:
        assert quality.results[name] == pytest.approx(quality.scores[name].astype(np.float64).mean(), rel=1e-12)
    assert quality.results["nonfinite"] == 0


@pytest.mark.parametrize("count", [1, 7])
def test_results_do_not_depend_on_the_batch_size(count):
    tables = []
    for batch_size in (1, 3, 7):
        quality = QualityCallback(lpips=None)
        evaluate(quality, ToyData(count=count, batch_size=batch_size))
        tables.append((quality.results, quality.scores))
    for results, table in tables[1:]:
        assert results == tables[0][0]
        np.testing.assert_array_equal(table.iloc[:, 1:].to_numpy(), tables[0][1].iloc[:, 1:].to_numpy())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_nonfinite_output_is_counted_and_not_averaged_away(value):
    def corrupt(images, batch):
        images[batch["index"] == 2, 0, 3, 3] = value

    quality = QualityCallback(lpips=None)
    evaluate(quality, ToyData(count=5), corrupt)
    assert quality.results == {"nonfinite": 1}
    assert quality.notes["psnr"] == "1 of 5 outputs hold NaN or Inf"
    assert quality.scores["psnr"].isna().tolist() == [False, False, True, False, False]


def test_a_score_that_images_are_too_small_for_is_explained():
    quality = QualityCallback(lpips=None)
    evaluate(quality, ToyData(count=2))
    assert "ms_ssim" not in quality.results
    assert quality.notes["ms_ssim"].startswith("undefined for 2 of 2 images: too small")


def test_validation_is_cheap_and_against_the_original_target():
    class Refusing(OriginalGT):
        def reference(self, images, batch):
            raise AssertionError("the protocol is for the test")

    quality = QualityCallback(lpips="alex")
    quality.protocol = Refusing()
    trainer = evaluate(quality, ToyData(count=3), validate=True)
    assert {name for name in trainer.callback_metrics if name.startswith("val/")} == {"val/psnr", "val/ssim"}


def test_a_protocol_gives_target_mask_and_veil():
    class Half(OriginalGT):
        def reference(self, images, batch):
            mask = torch.zeros_like(images[:, :1])
            mask[..., :10] = 1
            return Reference(batch["target"], mask) if self.masked else Reference(batch["target"] * mask, veil=mask)

    found = {}
    for masked in (True, False):
        quality, protocol = QualityCallback(lpips=None, scores=["psnr"]), Half()
        protocol.masked = masked
        quality.protocol = protocol
        evaluate(quality, ToyData(count=2))
        found[masked] = quality.results
    raw, target = images_of(ToyData(count=2))
    saved = quantize(Toy()(raw))
    valid = psnr(saved[..., :10], target[..., :10]).double().mean().item()
    share = 10 / target.shape[-1]
    assert found[True]["psnr"] == pytest.approx(valid, abs=1e-5)
    assert found[False]["psnr"] == pytest.approx(valid - 10 * np.log10(share), abs=1e-4)
    assert found[False]["psnr_unrounded"] > found[True]["psnr_unrounded"]


def test_complexity_and_latency_leave_their_numbers():
    complexity, latency = ComplexityCallback(), LatencyCallback(32, 32, repetitions=3)
    evaluate(complexity, ToyData(count=1))
    evaluate(latency, ToyData(count=1))
    assert complexity.results["params"] == 4 * 12 + 12
    assert complexity.results["gmacs"] == pytest.approx(4 * 12 * 224 * 224 / 1e9)
    assert complexity.results["gflops"] == 2 * complexity.results["gmacs"]
    assert complexity.results["gmacs_256x256"] == pytest.approx(4 * 12 * 128 * 128 / 1e9)
    assert complexity.results["gmacs_fullhd"] == pytest.approx(4 * 12 * 540 * 960 / 1e9)
    assert latency.results["latency_ms"] > 0
    assert latency.results["threads"] == torch.get_num_threads()
    assert latency.results["latency_input"] == "4x16x16"
