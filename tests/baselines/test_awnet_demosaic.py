"""AWNet on demosaiced RAW: its input and what differs from the packed form."""

import cv2
import numpy as np
import pytest
import torch

from ispbench.baselines.awnet_demosaic.model import AWNetDemosaic, pseudo_demosaic
from ispbench.raw.levels import normalize_raw


def tiny(quantise: bool = True) -> AWNetDemosaic:
    return AWNetDemosaic(width=4, depths=(1, 1, 1, 1, 1), quantise=quantise)


def mosaic(low: int = 0, high: int = 1024) -> np.ndarray:
    return np.random.default_rng(0).integers(low, high, (48, 64)).astype(np.uint16)


def canonical(dn: np.ndarray) -> torch.Tensor:
    planes = np.stack([dn[i::2, j::2] for i in (0, 1) for j in (0, 1)])
    return normalize_raw(torch.from_numpy(planes.astype(np.float32))[None], 63, 1020)


def resized(dn: np.ndarray) -> dict[str, np.ndarray]:
    """The planes at full size by OpenCV, in the data type of `dn`."""
    size = dn.shape[::-1]
    planes = {"R": dn[0::2, 0::2], "Gr": dn[0::2, 1::2], "Gb": dn[1::2, 0::2], "B": dn[1::2, 1::2]}
    return {name: cv2.resize(np.ascontiguousarray(plane), size) for name, plane in planes.items()}


def test_quantised_input_is_the_authors_png_as_read_back():
    planes = resized(mosaic())
    bgr = np.dstack((planes["B"], planes["Gr"] / 2 + planes["Gb"] / 2, planes["R"])).astype(np.float32) / (3 * 255)
    _, png = cv2.imencode(".png", bgr * 255)  # OpenCV takes B, G, R and rounds and clips to 8 bits
    theirs = cv2.imdecode(png, cv2.IMREAD_COLOR)[..., ::-1].transpose(2, 0, 1) / np.float32(255)
    (x,) = tiny().net_inputs(canonical(mosaic()))
    assert (theirs == 1).any()
    torch.testing.assert_close(x[0], torch.from_numpy(theirs.copy()), rtol=0, atol=1e-6)


def test_unquantised_input_is_neither_rounded_nor_clipped():
    planes = resized(mosaic().astype(np.float32))
    theirs = np.stack((planes["R"], (planes["Gr"] + planes["Gb"]) / 2, planes["B"])) / (3 * 255)
    (x,) = tiny(quantise=False).net_inputs(canonical(mosaic()))
    assert x.max() > 1
    torch.testing.assert_close(x[0], torch.from_numpy(theirs), rtol=0, atol=1e-6)


def test_quantisation_costs_at_most_a_level_below_the_clipping():
    raw = canonical(mosaic(high=765))
    exact = pseudo_demosaic(raw, 63, 1020, quantise=False)
    assert (pseudo_demosaic(raw, 63, 1020, quantise=True) - exact).abs().max() < 1 / 255


def test_channels_are_red_green_blue():
    raw = torch.zeros(1, 4, 8, 8)
    raw[:, 0], raw[:, 3] = 0.5, 0.25
    (x,) = tiny().net_inputs(raw)
    red, green, blue = x.mean((0, 2, 3))
    assert red > blue > green


def test_side_outputs_only_in_training():
    net = tiny().net
    x = torch.rand(2, 3, 32, 48)
    image, *sides = net.train()(x)
    assert image.shape == (2, 3, 32, 48)
    assert [side.shape[-2:] for side in sides] == [(16 >> i, 24 >> i) for i in range(4)]
    assert isinstance(net.eval()(x), torch.Tensor)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("layer4_up.stem.1.weight", (512, 1024, 3, 3)),
        ("layer1_up.prelu.weight", (1,)),
        ("scale_2.weight", (3, 128, 3, 3)),
        ("enhance.stages.3.1.weight", (64, 64, 1, 1)),
        ("final_conv.bias", (3,)),
    ],
)
def test_official_names(name, shape):
    with torch.device("meta"):
        model = AWNetDemosaic()
    (ours,) = model.official_state_dict({name: None})
    assert model.net.state_dict()[ours].shape == shape
