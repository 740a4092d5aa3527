"""Scoring a model, without a trainer, a configuration or a folder."""

import numpy as np
import pytest
import torch
from torch import nn

import ispbench
from ispbench.errors import UserError
from ispbench.evaluation.evaluate import evaluate
from ispbench.metrics.quality import psnr, quantize
from ispbench.metrics.table import Metric
from ispbench.protocols.base import Protocol, Reference
from tests.evaluation.toy_data import ToyData, images_of
from tests.toys import ToyISP

QUIET = {"device": "cpu", "progress": False}


def test_every_score_of_every_image():
    data = ToyData(count=5, size=(180, 190))
    names = ["psnr", "ssim", "ms_ssim", "ciede2000", "psnr_unrounded"]
    result = evaluate(ToyISP(), data, metrics=names, **QUIET)
    assert result.scores.columns.tolist() == ["image", *names]
    assert result.scores["image"].tolist() == [f"toy{i}" for i in range(5)]
    assert result.protocol == "toy-v1/original-gt"
    raw, target = images_of(data)
    outputs = torch.cat([ToyISP().eval()(part) for part in raw.split(2)]).detach()
    np.testing.assert_array_equal(result.scores["psnr"], psnr(quantize(outputs), target))
    np.testing.assert_array_equal(result.scores["psnr_unrounded"], psnr(outputs.clamp(0, 1), target))
    for name in names:
        assert result.summary[name] == pytest.approx(result.scores[name].astype(np.float64).mean(), rel=1e-12)
    assert result.summary["nonfinite"] == 0
    assert result.data["n_images"] == 5


def test_means_are_broken_down_by_what_the_dataset_knows():
    class Columns(ToyData):
        def open(self, split):
            source = super().open(split)
            source.columns = {"camera": ["a", "b", "a", "b", "a"], "light": ["1", "1", "1", "2", "2"]}
            return source

    result = evaluate(ToyISP(), Columns(count=5), metrics=["psnr", "ssim"], **QUIET)
    assert result.scores.columns.tolist() == ["image", "camera", "light", "psnr", "ssim"]
    assert result.scores["camera"].tolist() == ["a", "b", "a", "b", "a"]
    psnrs = result.scores["psnr"].to_numpy(float)
    assert result.by["camera"]["a"] == {
        "n_images": 3,
        "psnr": pytest.approx(psnrs[[0, 2, 4]].mean()),
        "ssim": pytest.approx(result.scores["ssim"].to_numpy(float)[[0, 2, 4]].mean()),
    }
    assert result.by["light"]["2"]["psnr"] == pytest.approx(psnrs[[3, 4]].mean())
    assert evaluate(ToyISP(), ToyData(count=5), metrics=["psnr"], **QUIET).by == {}


@pytest.mark.parametrize("count", [1, 7])
def test_scores_do_not_depend_on_the_batch_size(count):
    def one_by_one(raw):  # the model's own bits may depend on its batch
        return torch.cat([model(part) for part in raw.split(1)])

    model = ToyISP().eval()
    tables = [
        evaluate(one_by_one, ToyData(count, batch_size=size), metrics=["psnr", "ssim"], **QUIET).scores
        for size in (1, 3, 7)
    ]
    for table in tables[1:]:
        np.testing.assert_array_equal(table.iloc[:, 1:].to_numpy(), tables[0].iloc[:, 1:].to_numpy())


class Foreign(nn.Module):
    """Knows nothing of ispbench."""

    def __init__(self):
        super().__init__()
        self.dropout = nn.Dropout(0.9)

    def forward(self, raw):
        return self.dropout(nn.functional.interpolate(raw[:, [0, 1, 3]], scale_factor=2))


def test_any_module_and_any_function_can_be_scored_and_twice():
    data, module = ToyData(), Foreign().train()
    first = ispbench.evaluate(module, data, metrics=["psnr"], **QUIET)
    assert module.training, "the module is left as it was"
    again = ispbench.evaluate(module.eval().forward, data, metrics=["psnr"], **QUIET)
    np.testing.assert_array_equal(first.scores["psnr"], again.scores["psnr"])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_nonfinite_output_is_counted_and_not_averaged_away(value):
    calls = iter(range(9))

    def broken(raw):
        images = ToyISP().eval()(raw)
        if next(calls) == 1:
            images[0, 0, 3, 3] = value
        return images

    result = evaluate(broken, ToyData(count=5), metrics=["psnr", "ssim"], **QUIET)
    assert result.summary == {"nonfinite": 1}
    assert result.notes["psnr"] == "1 of 5 outputs hold NaN or Inf"
    assert result.scores["psnr"].isna().tolist() == [False, False, True, False, False]


def test_a_score_that_images_are_too_small_for_is_explained():
    result = evaluate(ToyISP(), ToyData(count=2), metrics=["psnr", "ms_ssim"], **QUIET)
    assert "ms_ssim" not in result.summary
    assert result.notes["ms_ssim"].startswith("undefined for 2 of 2 images: too small")


class Half(Protocol):
    """Only the first ten columns count."""

    name = "half"

    def __init__(self, masked):
        self.masked = masked

    def reference(self, images, batch):
        mask = torch.zeros_like(images[:, :1])
        mask[..., :10] = 1
        if self.masked:
            return Reference(batch["target"], mask)
        return Reference(batch["target"] * mask, premultiplied_mask=mask)


def test_a_protocol_gives_target_mask_and_premultiplied_mask():
    data = ToyData(count=2)
    metrics = ["psnr", "psnr_unrounded"]
    found = {masked: evaluate(ToyISP(), data, Half(masked), metrics=metrics, **QUIET) for masked in (True, False)}
    raw, target = images_of(data)
    saved = quantize(ToyISP().eval()(raw))
    valid = psnr(saved[..., :10], target[..., :10]).double().mean().item()
    share = 10 / target.shape[-1]
    assert found[True].protocol == "toy-v1/half"
    assert found[True].summary["psnr"] == pytest.approx(valid, abs=1e-5)
    assert found[False].summary["psnr"] == pytest.approx(valid - 10 * np.log10(share), abs=1e-4)
    assert found[False].summary["psnr_unrounded"] > found[True].summary["psnr_unrounded"]


def test_a_metric_without_a_reference_and_one_of_ones_own():
    brightness = Metric(
        "brightness", lambda images: images.mean((1, 2, 3)), True, "Brightness", "mean", reference=False, mask=False
    )
    data = ToyData()
    result = ispbench.evaluate(ToyISP(), data, metrics={"brightness": brightness}, **QUIET)
    raw, _ = images_of(data)
    assert result.summary["brightness"] == pytest.approx(quantize(ToyISP().eval()(raw)).mean().item(), abs=1e-6)


@pytest.mark.parametrize(
    "model, options, sentence",
    [
        (lambda raw: raw, {}, r"returned \(2, 4, 12, 16\) .* must return sRGB of shape \(2, 3, 24, 32\)"),
        (lambda raw: None, {}, "returned NoneType"),
        (ToyISP(), {"split": "exam"}, "choose one of train, val, test"),
        (ToyISP(), {"metrics": ["psnrr"]}, "psnrr"),
        (ToyISP(), {"protocol": "orginal"}, "Unknown choice protocol=orginal"),
        (ToyISP(), {"precision": "fp8"}, "choose one of 32-true, bf16-mixed, 16-mixed"),
    ],
)
def test_a_mistake_is_one_sentence(model, options, sentence):
    with pytest.raises(UserError, match=sentence):
        ispbench.evaluate(model, ToyData(), **QUIET, **options)


def test_observers_see_every_image_and_a_limit_holds():
    seen = []
    observers = [lambda images, batch: seen.extend(batch["name"])]
    evaluate(ToyISP(), ToyData(), metrics=["psnr"], limit=3, observers=observers, **QUIET)
    assert seen == ["toy0", "toy1", "toy2"]
