import itertools

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ispbench.errors import UserError
from ispbench.evaluation.complexity import complexity
from ispbench.models.build import build_model
from ispbench.models.ensemble import Evaluation, ModelMean, SelfEnsemble
from ispbench.models.interface import ISPModel
from ispbench.raw.demosaic import bilinear


class Bilinear(ISPModel):
    """Commutes with every mirror image of a mosaic that keeps the phase, up to the border."""

    def __init__(self):
        super().__init__()
        self.net = nn.Identity()

    def forward_scales(self, raw):
        return (bilinear(raw),)


class Seen(ISPModel):
    """Keeps what it is shown and returns the planes R, Gr, B twice enlarged."""

    def __init__(self):
        super().__init__()
        self.net = nn.Identity()
        self.views = []

    def forward_scales(self, raw):
        self.views.append(raw)
        return (F.interpolate(raw[:, [0, 1, 3]], scale_factor=2.0),)


@settings(max_examples=15, deadline=None)
@given(h=st.integers(1, 6), w=st.integers(1, 6))
def test_eight_views_of_the_planes_are_turned_back(h, w):
    raw = torch.rand(1, 4, h, w)
    seen = Seen()
    (image,) = SelfEnsemble(seen).forward_scales(raw)
    torch.testing.assert_close(image, seen.forward_scales(raw)[0])
    expected = [torch.rot90(flipped, turns, (2, 3)) for flipped in (raw, raw.flip(3)) for turns in range(4)]
    assert len(seen.views) == 9
    for view in expected:
        assert sum(other.shape == view.shape and torch.equal(other, view) for other in seen.views[:8]) >= 1


def test_views_of_the_phase_are_true_rggb_mosaics():
    """A mosaic of a scene whose channels are constants shows which sample stands where."""
    raw = torch.tensor([0.1, 0.4, 0.4, 0.9]).view(1, 4, 1, 1).expand(1, 4, 5, 6).contiguous()
    seen = Seen()
    SelfEnsemble(seen, "phase").forward_scales(raw)
    assert len(seen.views) == 8
    for view in seen.views:
        assert torch.equal(view, raw if view.shape == raw.shape else raw.mT)


def test_a_transposition_exchanges_the_two_greens():
    raw = torch.rand(1, 4, 3, 3)
    seen = Seen()
    SelfEnsemble(seen, "phase").forward_scales(raw)
    assert any(torch.equal(view, raw.mT[:, [0, 2, 1, 3]]) for view in seen.views)


@pytest.mark.parametrize("h, w", [(5, 6), (8, 8), (1, 2), (2, 7)])
def test_a_symmetric_pipeline_is_its_own_ensemble_of_the_phase(h, w):
    raw = torch.rand(2, 4, max(h, 2), max(w, 2))
    model = Bilinear()
    single, ensemble = model.forward_scales(raw)[0], SelfEnsemble(model, "phase").forward_scales(raw)[0]
    assert ensemble.shape == single.shape
    inner = (..., slice(2, -2), slice(2, -2))  # a mirrored view has another border
    torch.testing.assert_close(ensemble[inner], single[inner])


def test_views_of_the_planes_shift_the_samples_of_such_a_pipeline():
    raw = torch.rand(1, 4, 8, 8)
    model = Bilinear()
    assert (SelfEnsemble(model).forward_scales(raw)[0] - model.forward_scales(raw)[0]).abs().max() > 0.05


@pytest.mark.parametrize("mode", ["planes", "phase"])
def test_any_size_and_the_clamp_of_the_interface(mode):
    model = SelfEnsemble(build_model("microisp"), mode).eval()
    for h, w in itertools.product((3, 8), repeat=2):
        with torch.no_grad():
            image = model(torch.rand(1, 4, h, w))
        assert image.shape == (1, 3, 2 * h, 2 * w)
        assert 0 <= image.min() <= image.max() <= 1


def test_the_mean_of_models():
    models = [build_model("microisp").eval(), build_model("punet", ["model.width=4"]).eval()]
    raw = torch.rand(1, 4, 16, 16)
    with torch.no_grad():
        expected = (models[0].forward_scales(raw)[0] + models[1].forward_scales(raw)[0]) / 2
        torch.testing.assert_close(ModelMean(models).eval().forward_scales(raw)[0], expected)


def test_an_ensemble_passes_the_levels_on():
    models = [build_model("microisp"), build_model("punet", ["model.width=4"])]
    ensemble = SelfEnsemble(ModelMean(models))
    ensemble.set_levels(255, 4095)
    raw = torch.zeros(1, 4, 2, 2)
    for model in models:
        torch.testing.assert_close(model.net_inputs(raw)[0], torch.full_like(raw, 255 / 4095))


def test_an_ensemble_is_counted_with_all_its_passes():
    models = [build_model("microisp"), build_model("punet", ["model.width=4"])]
    single = [complexity(model, 64, 64) for model in models]
    both = complexity(SelfEnsemble(ModelMean(models)), 64, 64)
    assert both.gmacs == pytest.approx(8 * sum(one.gmacs for one in single))
    assert both.params == sum(one.params for one in single)


def test_options_name_themselves():
    assert str(Evaluation()) == str(Evaluation(False, {})) == ""
    assert str(Evaluation(True)) == "self_ensemble=planes"
    assert str(Evaluation("phase", {"awnet_demosaic": "a.ckpt"})) == "average_with=awnet_demosaic self_ensemble=phase"
    model = Bilinear()
    assert Evaluation().wrap(model, lambda name, path: model) is model


def test_unknown_options_are_refused():
    with pytest.raises(UserError, match="Valid keys: average_with, self_ensemble"):
        Evaluation(tta=True)
    with pytest.raises(UserError, match="not 'x8'"):
        Evaluation("x8")
    with pytest.raises(UserError, match="not 'x8'"):
        SelfEnsemble(Bilinear(), "x8")
