import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from ispbench.baselines.classical import demosaic
from ispbench.baselines.classical.demosaic import demosaicer
from ispbench.errors import UserError
from ispbench.evaluation.complexity import complexity
from ispbench.models.build import build_model
from ispbench.raw.bayer import pack

NAMES = ["bilinear", "malvar", "menon"]


def needs_the_library():
    if find_spec("colour_demosaicing") is None:
        pytest.skip("needs the extra demosaic")


def test_the_library_leaves_the_writing_of_numbers_alone():
    needs_the_library()
    code = (
        "import pandas as pd; from ispbench.baselines.classical.demosaic import demosaicer; demosaicer('menon')\n"
        "print(pd.DataFrame({'x': [0.1 + 0.2]}).to_csv())"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "0.30000000000000004" in output


def sample(rgb):
    """The packed RAW of a camera that sees an image, shape (H, W, 3)."""
    mosaic = np.empty(rgb.shape[:2], np.float32)
    mosaic[0::2, 0::2] = rgb[0::2, 0::2, 0]
    mosaic[0::2, 1::2] = rgb[0::2, 1::2, 1]
    mosaic[1::2, 0::2] = rgb[1::2, 0::2, 1]
    mosaic[1::2, 1::2] = rgb[1::2, 1::2, 2]
    return torch.from_numpy(pack(mosaic))[None]


@pytest.fixture(params=NAMES)
def name(request):
    if request.param != "bilinear":
        needs_the_library()
    return request.param


def test_a_plain_colour_comes_back(name):
    rgb = np.broadcast_to(np.float32([0.2, 0.5, 0.7]), (16, 20, 3))
    image = demosaicer(name)(sample(rgb))
    assert image.shape == (1, 3, 16, 20)
    assert image.dtype == torch.float32
    torch.testing.assert_close(image[0], torch.from_numpy(rgb.copy()).permute(2, 0, 1), atol=1e-5, rtol=0)


def test_a_tiny_image(name):
    assert demosaicer(name)(torch.rand(1, 4, 2, 3)).shape == (1, 3, 4, 6)


def test_the_phase_is_that_of_packed_raw_and_samples_are_kept(name, rng):
    smooth = np.cumsum(rng.normal(0, 0.01, (24, 24, 3)), axis=0).astype(np.float32) + np.float32([0.2, 0.5, 0.8])
    image = demosaicer(name)(sample(smooth))[0].numpy()
    np.testing.assert_allclose(image[0, 0::2, 0::2], smooth[0::2, 0::2, 0], atol=1e-5)
    np.testing.assert_allclose(image[2, 1::2, 1::2], smooth[1::2, 1::2, 2], atol=1e-5)


@pytest.mark.parametrize("better", ["malvar", "menon"])
def test_the_library_keeps_edges_that_bilinear_blurs(better):
    needs_the_library()
    grey = np.repeat((np.indices((40, 40)).sum(0) // 7 % 2).astype(np.float32)[..., None], 3, axis=2) * 0.6 + 0.2
    raw, truth = sample(grey), torch.from_numpy(grey).permute(2, 0, 1)

    def error(name):
        return (demosaicer(name)(raw)[0] - truth).square()[:, 4:-4, 4:-4].mean().item()

    assert error(better) < 0.7 * error("bilinear")


def test_the_model_renders_and_is_counted_with_every_choice(name):
    model = build_model("classical", [f"++model.demosaic={name}"]).eval()
    image = model(torch.rand(2, 4, 12, 10))
    assert image.shape == (2, 3, 24, 20)
    assert 0 <= image.min() <= image.max() <= 1
    assert complexity(model, 32, 32).params == 0


def test_an_unknown_choice_names_the_valid_ones():
    with pytest.raises(UserError, match=r"bilinear, malvar or menon, not 'ahd'"):
        build_model("classical", ["++model.demosaic=ahd"])


def test_a_missing_library_is_one_sentence(monkeypatch):
    def refuse(name):
        raise ImportError(name)

    monkeypatch.setattr(demosaic, "import_module", refuse)
    with pytest.raises(UserError, match="pip install colour-demosaicing"):
        demosaicer("menon")
