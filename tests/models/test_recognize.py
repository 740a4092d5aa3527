"""Which network a checkpoint holds is told by its tensors, for every model and option that shapes tell."""

import pytest
import torch

from ispbench.config import networks, variants
from ispbench.errors import UserError
from ispbench.models import recognize as module
from ispbench.models.build import build_model
from ispbench.models.recognize import Recognition, fitting_options, recognize
from ispbench.parity.vectors import load_vectors

LEARNED = [name for name in networks() if name != "classical"]
# Options as their files do not have them; of each option at least one other value that shapes tell.
OPTIONS = {
    "awnet_demosaic": [{"width": 8, "depths": [1, 2, 1, 3, 1]}],
    "awnet_raw": [{"width": 16}, {"depths": [2, 2, 2, 3, 4]}],
    "convir_rhid": [{"width": 16, "blocks": 2}],
    "csanet": [{"channels": 8}],
    "fourierisp": [{"width": 8}],
    "liteispnet": [{"width": 32}, {"blocks": 2, "precoord": True}],
    "metaisp": [
        {"width": 16, "num_bases": 3, "basis_dim": 24},
        {"resampling": "strided", "tail": "single"},
        {"tail": "double", "predictor": "pool"},
        *({"placement": preset} for preset in ("mccb_only", "mscb_only", "none", "encoder_only", "mscb_first", "se")),
        {"placement": "bottleneck_only", "ablated": "conv"},
        {"norm": "none", "descriptor_norm": "running", "basis_dim": [24, 48]},
        {"descriptor_norm": "none"},
        {"norm": "none", "placement": "none", "ablated": "conv"},
        {"basis_dim": 24, "placement": "none", "ablated": "conv"},
        {"convolutions": "separable", "basis_dim": [24, 40]},
        {"convolutions": "separable", "placement": "none", "ablated": "conv"},
        {"placement": {"encoder1": ["se"], "bottleneck": ["mscb", "mccb"], "decoder1": ["conv"]}},
    ],
    "metaisp_rhid": [{"width": 16, "num_bases": 4, "basis_dim": 12}],
    "microisp": [{"stages": 3}],
    "mobileie": [{"rep_scale": 2}, {"deploy": True}],
    "mwispnet": [{"width": 32, "blocks": 2}],
    "nafnet_w32": [{"width": 8, "encoder_blocks": [1, 2], "middle_blocks": 3, "decoder_blocks": [2, 1]}],
    "punet": [{"width": 8}, {"instance_norm": True}],
    "pynet": [{"instance_norm": "coarse"}, {"instance_norm": "none"}],
    "rmfa_tiny": [{"blocks": 8}, {"width": 32}],
    "syenet": [{"channels": 6, "rep_scale": 2}, {"deploy": True}],
    "unet": [{"decoder_widths": [64, 32, 16, 16, 8]}],
}


@pytest.fixture(scope="module", autouse=True)
def on_meta():
    """Names and shapes are all that counts."""
    with torch.device("meta"):
        yield


@pytest.mark.parametrize("name", LEARNED)
def test_every_model_is_recognized_by_its_own_names(name):
    assert recognize(build_model(name).net.state_dict()) == Recognition(name, {})


@pytest.mark.parametrize("name", variants())
def test_a_variant_is_recognized_as_its_model_with_options_or_by_its_own_name(name):
    state = build_model(name).net.state_dict()
    found = recognize(state)
    again = build_model(found.name, found.overrides).net.state_dict()
    assert {key: value.shape for key, value in again.items()} == {key: value.shape for key, value in state.items()}


@pytest.mark.parametrize("key", [key for key in load_vectors() if key != "gcm"])
def test_every_public_checkpoint_is_recognized(key):
    vector = load_vectors()[key]
    assert recognize(vector.state_dict()) == Recognition(vector.network, {})


@pytest.mark.parametrize("name, options", [(name, options) for name, sets in OPTIONS.items() for options in sets])
def test_options_are_read(name, options):
    state = build_model(name, module.overrides(options)).net.state_dict()
    found = recognize(state)
    assert (found.name, found.options) == (name, options)
    again = build_model(name, found.overrides).net.state_dict()
    assert {key: value.shape for key, value in again.items()} == {key: value.shape for key, value in state.items()}


def test_options_that_shapes_tell_are_all_tried_here():
    for name in LEARNED:
        model, keys = module._default(name)
        silent = {
            "_target_",
            "init",
            "basis_init",
            "pretrained",
            "encoder",
            *model.untold_options,
        }  # no other encoder is looked for
        assert set(keys) - silent == {key for options in OPTIONS.get(name, []) for key in options} - silent, name


def test_the_nearest_is_named_if_none_fits():
    state = build_model("csanet").net.state_dict()
    state["head.0.weight"] = torch.empty(32, 3, 5, 5)
    with pytest.raises(UserError, match=r"^x\.pth is of no model here; the nearest is csanet, which has 9\d% of its"):
        recognize(state, "x.pth")
    assert fitting_options("csanet", state) is None
    with pytest.raises(UserError, match="none shares a tensor"):
        recognize({"nonsense": torch.empty(1)})
    with pytest.raises(UserError, match="none shares a tensor"):
        recognize({})


def test_two_candidates_are_both_named(monkeypatch):
    twin = {"efficient_isp": "efficient_isp", "twin": "efficient_isp", "robust_isp": "robust_isp"}
    default = module._default
    monkeypatch.setattr(module, "networks", lambda: list(twin))
    monkeypatch.setattr(module, "_default", lambda name: default(twin[name]))
    state = build_model("efficient_isp").net.state_dict()
    with pytest.raises(UserError, match=r"fits several models \(model=efficient_isp, model=twin\); say which"):
        recognize(state)
