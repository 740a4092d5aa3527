import pytest
import torch

from ispbench.errors import UserError
from ispbench.metrics import scores
from ispbench.metrics.backbones import WeightsUnavailableError
from ispbench.metrics.quality import quantise
from ispbench.metrics.scores import SCORES, ImageScores, choose, score_each


def batch(count=5, size=(40, 33)):
    generator = torch.Generator().manual_seed(1)
    reference = torch.rand(count, 3, *size, generator=generator)
    sigma = torch.linspace(0.01, 0.2, count).view(-1, 1, 1, 1)
    noisy = reference + sigma * torch.randn(count, 3, *size, generator=generator)
    return noisy, quantise(reference)


def lpips_metric():
    try:
        return scores.LPIPSMetric("alex")
    except WeightsUnavailableError as error:
        pytest.skip(str(error))


METRICS = {
    "psnr": scores.PSNR,
    "ssim": scores.SSIM,
    "ssim_sample": lambda: scores.SSIM("sample"),
    "ms_ssim": scores.MSSSIM,
    "ciede2000": scores.CIEDE2000,
    "lpips": lpips_metric,
}


@pytest.mark.parametrize("name", sorted(SCORES))
def test_a_score_is_bitwise_the_same_in_any_batch(name):
    images, references = batch(4, (180, 177))
    function, mask = SCORES[name].function, (torch.arange(177) < 176).float().expand(4, 1, 180, 177)
    for valid in (None, mask):
        whole = score_each(function, images, references, valid)
        single = [
            score_each(function, images[i, None], references[i, None], None if valid is None else valid[i, None])
            for i in range(4)
        ]
        assert torch.equal(whole, torch.cat(single))


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_does_not_depend_on_batches_order_or_repetition(name):
    images, references = batch(5, (180, 177))
    metric = METRICS[name]()
    indices = torch.arange(5)
    metric.update(images, references, indices)
    whole = metric.compute()
    metric.reset()
    for part in ([4, 2], [0], [1, 3, 0, 2]):
        metric.update(images[part], references[part], indices[part])
    assert torch.equal(metric.compute(), whole)
    assert whole.dtype == torch.float64


@pytest.mark.parametrize("name", METRICS)
def test_directions_are_declared(name):
    metric = METRICS[name]()
    assert metric.name == name
    assert metric.higher_is_better == (name not in ("ciede2000", "lpips"))
    assert name == "lpips" or SCORES[name].higher_is_better == metric.higher_is_better


def test_rounding_is_the_default_and_a_choice():
    image, reference = torch.full((1, 3, 4, 4), 100.4 / 255), torch.full((1, 3, 4, 4), 100 / 255)
    rounded, exact = scores.PSNR(), scores.PSNR(rounded=False)
    for metric in (rounded, exact):
        metric.update(image, reference, torch.tensor([0]))
    assert rounded.compute() == 100
    assert exact.compute() == pytest.approx(20 * torch.tensor(255 / 0.4).log10().item(), abs=1e-3)


def test_rows_are_collected_once_and_in_order():
    collected = ImageScores()
    collected.update(torch.tensor([3, 0]), torch.tensor([[3.0, 1], [0, 1]]))
    collected.update(torch.tensor([1, 3]), torch.tensor([[1.0, 1], [9, 9]]))
    indices, rows = collected.compute()
    assert indices.tolist() == [0, 1, 3]
    assert rows[:, 0].tolist() == [0, 1, 3]


def test_an_unknown_score_is_named():
    with pytest.raises(UserError, match=r"metrics\.quality\.scores has no score pnsr"):
        choose(["psnr", "pnsr"], "metrics.quality.scores")
