import pytest
import timm
import torch

from ispbench.baselines.unet.model import UNetISP, timm_encoder
from ispbench.errors import UserError
from ispbench.models.build import build_model
from ispbench.raw.demosaic import bilinear

ENCODERS = ["resnet18", "mobilenetv3_small_050", "convnext_atto"]
NARROW = [16, 16, 8, 8, 8]


def test_input_is_gamma_encoded_and_not_negative():
    raw = torch.rand(1, 4, 4, 4) - 0.2
    model = UNetISP("mobilenetv3_small_050", decoder_widths=NARROW)
    torch.testing.assert_close(model.net_inputs(raw)[0], raw.clamp_min(0) ** (1 / 2.2))
    model.input_gamma = 1.0
    torch.testing.assert_close(model.net_inputs(raw)[0], raw.clamp_min(0))


@pytest.mark.parametrize("size", [(64, 64), (33, 51)])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_encoder_families(encoder, size):
    model = build_model("unet", [f"model.encoder={encoder}", f"model.decoder_widths={NARROW}"])
    assert model.multiple == 32
    raw = torch.rand(2, 4, *size)
    height, width = size
    with torch.no_grad():
        assert model.eval()(raw).shape == (2, 3, 2 * height, 2 * width)
    model.train()(raw).square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_level_reaches_the_image(encoder):
    model = UNetISP(encoder, decoder_widths=NARROW).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # also those that timm and we start at zero
            parameter.add_(0.05 * torch.randn_like(parameter))
    model.net(torch.rand(1, 4, 64, 64)).square().mean().backward()
    dead = [name for name, parameter in model.named_parameters() if not parameter.grad.any()]
    assert not dead


def test_starts_as_a_bilinear_demosaic():
    model = UNetISP("mobilenetv3_small_050", decoder_widths=NARROW).eval()
    raw = torch.rand(1, 4, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(model(raw), bilinear(raw ** (1 / 2.2)).clamp(0, 1))


def test_a_feature_at_full_size_takes_the_place_of_the_raw():
    model = UNetISP("vgg11", decoder_widths=NARROW).eval()
    assert model.net.reductions[0] == 1
    with torch.no_grad():
        assert model(torch.rand(1, 4, 32, 32)).shape == (1, 3, 64, 64)


def test_unknown_encoder_names_close_ones():
    with pytest.raises(UserError, match="resnet18"):
        timm_encoder("resnet81", pretrained=False)
    with pytest.raises(UserError, match="no_such_tag"):
        timm_encoder("resnet18.no_such_tag", pretrained=False)


@pytest.mark.parametrize("encoder", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_encoders_of_one_image_size_are_refused(encoder):
    with pytest.raises(UserError, match="one size"):
        timm_encoder(encoder, pretrained=False)


def test_pretrained_is_timms_own_adaptation(monkeypatch):
    asked = {}
    create_model = timm.create_model

    def create(name, **options):
        asked.update(options)
        return create_model(name, **{**options, "pretrained": False})

    monkeypatch.setattr(timm, "create_model", create)
    timm_encoder("mobilenetv3_small_050", pretrained=True)
    assert asked == {"pretrained": True, "features_only": True, "in_chans": 4}


def test_weights_out_of_reach_are_one_sentence(monkeypatch):
    def create(*_, **__):
        raise OSError("no network\nlong story")

    monkeypatch.setattr("timm.create_model", create)
    with pytest.raises(UserError, match=r"no network$"):
        timm_encoder("resnet18", pretrained=True)


@pytest.mark.parametrize(
    "knobs, named",
    [
        ({"decoder_widths": [8, 8]}, "5 widths, not 2"),
        ({"decoder_widths": [8, 8, 8, 8, 0]}, r"model\.decoder_widths"),
        ({"input_gamma": 0}, r"model\.input_gamma"),
    ],
)
def test_knobs_out_of_range(knobs, named):
    with pytest.raises(UserError, match=named):
        UNetISP("mobilenetv3_small_050", **knobs)
