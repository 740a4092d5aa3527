import pytest
import torch
from torch import nn

from ispbench.errors import UserError
from ispbench.models.interface import ISPModel


class Shuffle(nn.Module):
    """Sees sizes; returns a full image and one at half size."""

    def forward(self, raw):
        self.seen = tuple(raw.shape[-2:])
        image = nn.functional.pixel_shuffle(raw[:, [0, 1, 2, 3] * 3], 2)
        return (image, image[..., ::2, ::2]) if self.training else image


class Model(ISPModel):
    multiple = 8

    def __init__(self):
        super().__init__()
        self.net = Shuffle()


@pytest.mark.parametrize("height, width", [(8, 16), (9, 15), (1, 1), (25, 8)])
def test_any_size_is_padded_to_the_multiple_and_cropped_back(height, width):
    model = Model().eval()
    raw = torch.rand(2, 4, height, width)
    image = model(raw)
    assert image.shape == (2, 3, 2 * height, 2 * width)
    assert model.net.seen[0] % 8 == model.net.seen[1] % 8 == 0
    torch.testing.assert_close(image[:, 0], nn.functional.pixel_shuffle(raw, 2)[:, 0])


def test_a_fitting_size_is_not_padded():
    model = Model().eval()
    model(torch.rand(1, 4, 16, 8))
    assert model.net.seen == (16, 8)


def test_side_outputs_are_cropped_at_their_scale():
    image, side = Model().train().forward_scales(torch.rand(1, 4, 9, 12))
    assert image.shape[-2:] == (18, 24)
    assert side.shape[-2:] == (9, 12)


def test_images_are_clamped_in_eval_alone():
    model = Model()
    raw = torch.full((1, 4, 8, 8), 3.0)
    assert model.train()(raw).max() == 3
    assert model.eval()(raw).max() == 1


def test_levels_are_those_of_zrr_until_told():
    model = Model()
    assert (model.black_level, model.white_level) == (63, 1020)
    model.set_levels(0, 4095)
    assert (model.black_level, model.white_level) == (0, 4095)
    assert (Model().black_level, Model().white_level) == (63, 1020), "other models keep theirs"


@pytest.mark.parametrize("levels", [(64, 64), (1023, 64), (-1, 64), (0, float("nan")), (0, float("inf"))])
def test_impossible_levels_are_refused(levels):
    with pytest.raises(UserError, match="must lie between 0 and the white level"):
        Model().set_levels(*levels)
