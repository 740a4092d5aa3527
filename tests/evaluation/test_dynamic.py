import numpy as np
import pytest
import torch
from torch import nn

from ispbench.errors import UserError
from ispbench.evaluation.dynamic import probe
from ispbench.evaluation.evaluate import evaluate
from ispbench.models.dynamic import DynamicWeights, recorded
from tests.evaluation.toy_data import ToyData, images_of
from tests.toys import ToyISP

DATA = ToyData(count=5)


class Level(DynamicWeights):
    """Weights that tell the mean level of an image."""

    def forward(self, raw):
        level = raw.mean((1, 2, 3))
        return torch.stack((level, 1 - level), dim=1)


class Gray(nn.Module):
    """A gray image of the first weight."""

    def __init__(self):
        super().__init__()
        self.predictor = Level()

    def forward(self, raw):
        weights = self.predictor(raw)
        return weights[:, 0, None, None, None].expand(len(raw), 3, 2 * raw.shape[2], 2 * raw.shape[3])


def _psnr(image, target):
    return 10 * np.log10(1 / np.mean((image - target.numpy()) ** 2))


def test_the_probe_is_the_score_with_weights_at_their_mean():
    model = Gray()
    raw, targets = images_of(DATA)
    levels = raw.mean((1, 2, 3)).numpy()
    found = probe(model, DATA, progress=False)

    def mean_psnr(values):
        images = [np.round(255 * np.clip(value, 0, 1)) / 255 for value in values]
        return np.mean([_psnr(image, target) for image, target in zip(images, targets, strict=True)])

    assert found.psnr_live == pytest.approx(mean_psnr(levels), abs=1e-3)
    assert found.psnr_frozen == pytest.approx(mean_psnr(np.full_like(levels, levels.mean())), abs=1e-3)
    assert found.psnr_uniform == pytest.approx(mean_psnr(np.full_like(levels, 0.5)), abs=1e-3)
    assert found.dynamic_gain_db == found.psnr_live - found.psnr_frozen
    assert found.spread == pytest.approx(levels.std(), rel=1e-4)
    assert found.spread_by_predictor == {"predictor": found.spread}


def test_the_model_is_as_before():
    model = Gray()
    before = evaluate(model, DATA, metrics=["psnr"], progress=False).summary
    probe(model, DATA, progress=False)
    assert evaluate(model, DATA, metrics=["psnr"], progress=False).summary == before
    with recorded(model) as weights:
        model(torch.rand(3, 4, 8, 8))
    assert [tensor.shape for tensor in weights[0]] == [(3, 2)]


def test_outputs_without_a_score_lose_nothing():
    class Broken(Gray):
        def forward(self, raw):
            return super().forward(raw) * float("nan")

    found = probe(Broken(), DATA, progress=False)
    assert np.isnan([found.psnr_live, found.psnr_frozen, found.dynamic_gain_db]).all()
    assert found.spread > 0


def test_a_static_model_is_refused():
    with pytest.raises(UserError, match="no dynamic weights"):
        probe(ToyISP(), DATA)
