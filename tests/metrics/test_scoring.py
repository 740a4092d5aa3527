import numpy as np
import pytest
import torch

from ispbench.errors import UserError
from ispbench.metrics.backbones import WeightsUnavailableError
from ispbench.metrics.quality import psnr, quantize
from ispbench.metrics.scoring import load, score_each, score_images
from ispbench.metrics.table import TABLE, Metric, choose

OF_THE_PACKAGE = sorted(set(TABLE) - {"dists", "topiq", "musiq"})


def batch(count=4, size=(180, 177)):
    generator = torch.Generator().manual_seed(1)
    reference = torch.rand(count, 3, *size, generator=generator)
    sigma = torch.linspace(0.01, 0.2, count).view(-1, 1, 1, 1)
    noisy = reference + sigma * torch.randn(count, 3, *size, generator=generator)
    return noisy, quantize(reference)


def brightness(images):
    return images.mean((1, 2, 3))


BRIGHTNESS = Metric("brightness", brightness, True, "Brightness", "mean value", reference=False, mask=False)


@pytest.mark.parametrize("name", OF_THE_PACKAGE)
def test_a_score_is_bitwise_the_same_in_any_batch(name):
    images, references = batch()
    metrics = choose([name])
    loaded, missing = load(metrics)
    if missing:
        pytest.skip(missing[name])
    mask = (torch.arange(177) < 176).float().expand(4, 1, 180, 177)
    for valid in (None, mask):
        whole = score_images(metrics, loaded, images, references, valid)
        single = [
            score_images(
                metrics, loaded, images[i, None], references[i, None], None if valid is None else mask[i, None]
            )
            for i in range(4)
        ]
        assert torch.equal(whole, torch.cat(single))
        assert whole.isfinite().all()


def test_rounding_is_what_the_metric_wants():
    image, reference = torch.full((1, 3, 16, 16), 100.4 / 255), torch.full((1, 3, 16, 16), 100 / 255)
    metrics = choose(["psnr", "psnr_unrounded"])
    [[rounded, exact]] = score_images(metrics, load(metrics)[0], image, reference).tolist()
    assert rounded == 100
    assert exact == pytest.approx(20 * np.log10(255 / 0.4), abs=1e-3)


def test_outputs_are_clamped():
    image, reference = torch.tensor([-0.5, 1.7]).view(1, 1, 1, 2).expand(1, 3, 4, 2), torch.zeros(1, 3, 4, 2)
    metrics = choose(["psnr", "psnr_unrounded"])
    scores = score_images(metrics, load(metrics)[0], image, reference)
    torch.testing.assert_close(scores, torch.full((1, 2), 10 * np.log10(2), dtype=torch.float32))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_an_output_that_is_not_finite_has_no_score(value):
    images, references = batch(3, (16, 16))
    images[1, 0, 3, 3] = value
    metrics = choose(["psnr"], {"brightness": BRIGHTNESS})
    rows = score_images(metrics, load(metrics)[0], images, references)
    assert rows.isnan().tolist() == [[False, False], [True, True], [False, False]]


def test_a_metric_without_masks_is_empty_under_one():
    images, references = batch(2, (16, 16))
    metrics = choose(["psnr"], {"brightness": BRIGHTNESS})
    loaded, _ = load(metrics)
    free = score_images(metrics, loaded, images, references)
    masked = score_images(metrics, loaded, images, references, torch.ones(2, 1, 16, 16))
    torch.testing.assert_close(free[:, 1], brightness(quantize(images)))
    assert masked[:, 1].isnan().all()
    torch.testing.assert_close(masked[:, 0], psnr(quantize(images), references))


def unavailable():
    raise WeightsUnavailableError("no network")


def test_a_metric_whose_weights_cannot_be_had_is_empty_for_a_reason():
    images, references = batch(2, (16, 16))
    metrics = choose([], {"broken": Metric("broken", unavailable, True, "Broken", "none", weights=True)})
    metrics |= choose(["psnr"])
    loaded, missing = load(metrics)
    assert missing == {"broken": "no network"}
    rows = score_images(metrics, loaded, images, references)
    assert rows[:, 0].isnan().all()
    assert rows[:, 1].isfinite().all()


@pytest.mark.parametrize("name", OF_THE_PACKAGE)
def test_images_too_small_for_a_metric_have_no_score(name):
    metrics = choose([name])
    loaded, missing = load(metrics)
    if missing:
        pytest.skip(missing[name])
    side = metrics[name].smallest
    images, references = batch(1, (side, side + 7))
    assert score_images(metrics, loaded, images, references).isfinite().all()
    if side > 1:
        assert score_images(metrics, loaded, images[:, :, 1:], references[:, :, 1:]).isnan().all()


@pytest.mark.parametrize("result", [torch.tensor(3.0), torch.zeros(1, 1), 3.0])
def test_a_function_that_does_not_return_one_value_an_image_is_told(result):
    metric = Metric("odd", lambda *_: result, True, "Odd", "none")
    with pytest.raises(UserError, match=r"odd returned .* for one image; return a tensor of shape \(N,\)"):
        score_each(metric, metric.load(), *batch(1, (16, 16)))
