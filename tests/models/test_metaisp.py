from functools import partial

import pytest
import torch
import torch.nn.functional as F
from benchmarks.plain_metaisp import plain_forward

from ispbench.errors import UserError
from ispbench.evaluation.complexity import complexity
from ispbench.models.build import build_model
from ispbench.models.dynamic import recorded
from ispbench.models.metaisp.blocks import (
    BASIS_INITS,
    NORMS,
    ChannelCorrection,
    SpatialCorrection,
)
from ispbench.models.metaisp.placement import PRESETS, STAGES, resolve
from ispbench.models.metaisp.predictor import DESCRIPTOR_NORMS, Predictor, TrackedNorm
from ispbench.models.shortcuts import without_shortcuts
from tests.conftest import TINY_METAISP

SMALL = TINY_METAISP[1:]


def randomised(module, spread=0.1):
    for value in module.parameters():
        torch.nn.init.normal_(value, std=spread)
    return module


def test_reconstruction_has_the_fitted_size():
    counted = complexity(build_model("metaisp"))
    assert counted.params == counted.params_used == 1_091_940
    assert counted.gmacs == pytest.approx(7.743, rel=1e-3)
    assert counted.input == "4x224x224"
    assert 0.0915 < counted.params / 11_922_441 < 0.0925  # of LiteISPNet with its PreCoord head
    assert 0.102 < counted.gmacs / 73.35 < 0.107


@pytest.mark.parametrize(
    "settings, params, gmacs",
    [
        ([], 1_096_044, 7.67),
        (["model.tail=single"], 1_086_796, 7.208),
        (["model.tail=single", "model.num_bases=10"], 1_110_936, 7.208),
        (["model.tail=full_size", "model.num_bases=10"], 1_116_935, 7.54),
        (["model.tail=full_size", "model.width=28", "model.basis_dim=56", "model.num_bases=6"], 1_091_940, 7.743),
    ],
)
def test_other_layouts_that_fit_the_constraints(settings, params, gmacs):
    counted = complexity(build_model("metaisp_c32", settings))
    assert counted.params == params
    assert counted.gmacs == pytest.approx(gmacs, rel=5e-3)


def test_separable_blocks_pay_for_their_channels():
    counted = complexity(build_model("metaisp_separable"))
    assert counted.params == counted.params_used == 1_090_904
    assert counted.gmacs == pytest.approx(6.527, rel=1e-3)
    block = build_model("metaisp_separable").net.bottleneck[0]
    pointwise, depthwise = block.conv
    assert pointwise.kernel_size == block.project.kernel_size == block.back.kernel_size == (1, 1)
    assert depthwise.groups == depthwise.in_channels == 88


def test_channel_correction_is_the_mixture_of_bases():
    block = randomised(ChannelCorrection(4, 6, 3, partial(Predictor, 4, 3)))
    y, weights = torch.randn(2, 6, 5, 5), torch.rand(2, 3)
    expected = torch.empty_like(y)
    for image in range(2):
        matrix = sum(weights[image, n] * block.bases[n] for n in range(3))
        for row in range(5):
            for column in range(5):
                expected[image, :, row, column] = y[image, :, row, column] @ matrix
    torch.testing.assert_close(block.correct(y, weights), expected)


def test_spatial_correction_is_the_cosine_of_the_paper():
    block = randomised(SpatialCorrection(4, 6, 3, partial(Predictor, 4, 3)))
    y, weights = torch.randn(2, 6, 5, 5), torch.rand(2, 3)
    vector = weights @ block.bases
    cosine = F.cosine_similarity(y, vector[:, :, None, None], dim=1)[:, None]
    torch.testing.assert_close(block.correct(y, weights), y * cosine)
    assert block.attention(y, weights).abs().max() <= 1 + 1e-6


def test_a_pixel_of_zeros_has_a_gradient():
    block = SpatialCorrection(4, 6, 3, partial(Predictor, 4, 3))
    y = torch.zeros(1, 6, 2, 2, requires_grad=True)
    block.correct(y, torch.ones(1, 3)).sum().backward()
    assert torch.isfinite(y.grad).all()


def test_weights_depend_on_the_image_and_sum_to_one():
    torch.manual_seed(0)
    predictor = Predictor(4, 3)
    features = torch.randn(2, 4, 6, 6)
    weights = predictor(features, features)
    torch.testing.assert_close(weights.sum(1), torch.ones(2))
    assert not torch.allclose(weights[0], weights[1])


def test_training_starts_at_the_identity_and_stable():
    torch.manual_seed(0)
    model = build_model("metaisp")
    matrices = model.net.encoder[0][0].bases
    assert matrices.shape == (6, 56, 56)
    torch.testing.assert_close(matrices @ matrices.mT, torch.eye(56).expand(6, 56, 56), atol=1e-5, rtol=0)
    near = build_model("metaisp", ["model.basis_init=identity"]).net.encoder[0][0].bases
    assert (near - torch.eye(56)).norm(dim=(1, 2)).max() < 0.11 * 56**0.5
    features = torch.randn(1, 28, 16, 16)
    torch.testing.assert_close(model.net.encoder[0](features), features)
    assert model.train()(torch.rand(2, 4, 32, 32)).std() < 1


def test_training_moves_every_block():
    model = build_model("metaisp", SMALL)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    raw, target = torch.rand(2, 4, 16, 16), torch.rand(2, 3, 32, 32)
    for _ in range(2):
        optimizer.zero_grad()
        F.l1_loss(model(raw), target).backward()
        optimizer.step()
    still = [name for name, value in model.named_parameters() if not value.grad.abs().max() > 0]
    assert not still


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("ablated", ["remove", "conv"])
def test_every_preset_renders(preset, ablated):
    model = randomised(build_model("metaisp", [*SMALL, f"model.placement={preset}", f"model.ablated={ablated}"])).eval()
    assert model(torch.rand(1, 4, 16, 24)).shape == (1, 3, 32, 48)


@pytest.mark.parametrize(
    "name, preset",
    [("metaisp_c32", preset) for preset in PRESETS]
    + [  # all but se, which has no matrix, a large one here, to apply
        (name, preset) for name in ("metaisp", "metaisp_separable") for preset in PRESETS if preset != "se"
    ],
)
def test_a_plain_block_costs_as_much_as_the_block_it_replaces(name, preset):
    full = complexity(build_model(name)).gmacs
    ablated = complexity(build_model(name, [f"model.placement={preset}", "model.ablated=conv"])).gmacs
    assert ablated == pytest.approx(full, rel=0.025)


def test_presets_place_what_their_names_say():
    assert resolve("encoder_only", "remove")["encoder1"] == ("mccb", "mscb")
    assert resolve("encoder_only", "remove")["decoder1"] == resolve("encoder_only", "remove")["bottleneck"] == ()
    assert [stage for stage, blocks in resolve("bottleneck_only", "remove").items() if blocks] == ["bottleneck"]
    assert resolve("mscb_first", "conv")["decoder2"] == ("mscb", "mccb")
    assert resolve("mccb_only", "conv")["decoder2"] == ("mccb", "mscb_as_conv")
    assert resolve("none", "conv")["encoder2"] == ("mccb_as_conv", "mscb_as_conv")
    assert set(resolve({"encoder1": ["mscb"]}, "remove")) == set(STAGES)


def test_block_order_matters():
    torch.manual_seed(0)
    both = randomised(build_model("metaisp", SMALL), 0.3).eval()
    swapped = build_model("metaisp", [*SMALL, "model.placement=mscb_first"]).eval()
    rename = {".0.": ".1.", ".1.": ".0."}
    state = {}
    for name, value in both.net.state_dict().items():
        stage = name.startswith(("encoder", "decoder", "bottleneck"))
        parts = name.split(".")
        place = 2 if not name.startswith("bottleneck") else 1
        if stage:
            parts[place] = rename[f".{parts[place]}."].strip(".")
        state[".".join(parts)] = value
    swapped.net.load_state_dict(state)
    raw = torch.rand(1, 4, 16, 16)
    assert not torch.allclose(both.forward_scales(raw)[0], swapped.forward_scales(raw)[0])


def test_input_gamma_is_the_power_of_the_raw():
    model = randomised(build_model("metaisp", SMALL)).eval()
    linear = build_model("metaisp", [*SMALL, "model.input_gamma=1"]).eval()
    linear.load_state_dict(model.state_dict())
    raw = torch.rand(1, 4, 16, 16)
    torch.testing.assert_close(model(raw), linear(raw ** (1 / 2.2)))


@pytest.mark.parametrize(
    "override, message",
    [
        ("model.placement=everywhere", "both, mccb_only"),
        ("model.placement={middle: [mccb]}", "stages are encoder1"),
        ("model.placement={encoder1: [mcb]}", "blocks are mccb"),
        ("model.ablated=delete", "remove or conv"),
        ("model.resampling=fft", "dwt or strided"),
        ("model.tail=long", "double, single"),
        ("model.predictor=mlp", "depthwise or pool"),
        ("model.norm=batch", "layer or group or none"),
        ("model.basis_init=zero", "identity or orthogonal or normal"),
        ("model.descriptor=pixels", "features or input or energy"),
        ("model.descriptor_norm=batch", "none or layer or running or tracked"),
        ("model.temperature=0", "above 0"),
        ("model.weighting=hard", "softmax or linear"),
        ("model.num_bases=0", "at least 1"),
        ("model.convolutions=dense", "full or separable"),
        ("model.input_gamma=0", "positive"),
    ],
)
def test_unknown_choices_name_the_valid_ones(override, message):
    with pytest.raises(UserError, match=message):
        build_model("metaisp", [override])


@pytest.mark.parametrize("convolutions", ["full", "separable"])
@pytest.mark.parametrize("batch, training", [(1, False), (2, False), (2, True)])
def test_shortcuts_change_nothing(batch, training, convolutions):
    torch.manual_seed(0)
    model = randomised(build_model("metaisp", [*SMALL, f"model.convolutions={convolutions}"])).eval()
    raw = torch.rand(batch, 4, 24, 32)
    with torch.set_grad_enabled(training):
        images = model.net(raw)
        with without_shortcuts():
            described = model.net(raw)
        plain = plain_forward(model.net, raw)
    torch.testing.assert_close(images, described, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(images, plain, rtol=1e-4, atol=1e-5)
    if training:
        parameters = list(model.net.parameters())
        for ours, theirs in zip(
            torch.autograd.grad(images.square().sum(), parameters),
            torch.autograd.grad(plain.square().sum(), parameters),
            strict=True,
        ):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max()))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("descriptor", ["features", "input", "energy"])
@pytest.mark.parametrize("descriptor_norm", DESCRIPTOR_NORMS)
def test_every_descriptor_tells_images_apart(norm, descriptor, descriptor_norm):
    torch.manual_seed(0)
    options = [
        f"model.{key}={value}" for key, value in locals().items() if key in ("norm", "descriptor", "descriptor_norm")
    ]
    model = build_model("metaisp", [*SMALL, *options, "model.temperature=0.1"])
    raw = torch.rand(4, 4, 16, 16) * torch.tensor([0.1, 0.3, 0.6, 1.0]).view(4, 1, 1, 1)
    F.l1_loss(model(raw), torch.rand(4, 3, 32, 32)).backward()
    assert all(value.grad.isfinite().all() for value in model.parameters() if value.grad is not None)
    model.eval()
    with recorded(model) as weights, torch.no_grad():
        model(raw)
    assert any(torch.cat(values).std(0).max() > 1e-6 for values in weights)


def test_a_tracked_descriptor_takes_the_statistics_over_images(rng):
    norm = TrackedNorm(3, momentum=0.01)
    images = torch.from_numpy(rng.normal([5, -2, 0], [0.1, 3, 1], (2000, 3))).float()
    for image in images[:, None]:  # a batch may hold one image
        alone = norm(image)
    torch.testing.assert_close(norm.running_mean, torch.tensor([5.0, -2, 0]), atol=0.7, rtol=0)
    torch.testing.assert_close(norm.running_var.sqrt(), torch.tensor([0.1, 3, 1]), atol=0, rtol=0.3)
    kept = norm.running_mean.clone()
    torch.testing.assert_close(norm.eval()(images)[-1:], alone)  # and no image depends on those beside it
    assert torch.equal(norm.running_mean, kept)


@pytest.mark.parametrize("init", BASIS_INITS)
def test_matrices_keep_the_scale_of_what_they_mix(init):
    torch.manual_seed(0)
    matrix = BASIS_INITS[init](64)
    scale = (torch.randn(256, 64) @ matrix).std()
    assert scale == pytest.approx(1, abs=0.1)
    if init == "orthogonal":
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(64), atol=1e-5, rtol=0)


def test_the_temperature_divides_the_logits():
    predictor = randomised(Predictor(4, 3))
    features = torch.randn(2, 4, 6, 6)
    warm = predictor(features, features).log()
    predictor.temperature = 0.5
    torch.testing.assert_close(predictor(features, features), (2 * warm).softmax(1))
