import pytest
import torch

from ispbench.exporting.windows import render_in_windows, render_whole


def enlarge(raw):
    """Local: each pixel depends on itself alone."""
    return raw[:, :3].repeat_interleave(2, 2).repeat_interleave(2, 3)


@pytest.mark.parametrize("height, width", [(16, 16), (8, 12), (64, 20), (64, 64)])
def test_windows_cover_every_pixel_with_what_belongs_there(height, width):
    raw, sizes = torch.rand(2, 4, 15, 21), []

    def one(window):
        sizes.append(tuple(window.shape))
        return enlarge(window)

    torch.testing.assert_close(render_in_windows(one, raw, height, width), enlarge(raw))
    assert set(sizes) == {(1, 4, height // 2, width // 2)}


def test_a_whole_image_is_padded_to_the_divisor_and_cropped():
    raw, sizes = torch.rand(2, 4, 15, 21), []

    def one(image):
        sizes.append(tuple(image.shape))
        return enlarge(image)

    image = render_whole(one, raw, lambda height, width: (-(-height // 16) * 16, -(-width // 16) * 16))
    torch.testing.assert_close(image, enlarge(raw))
    assert set(sizes) == {(1, 4, 16, 24)}
