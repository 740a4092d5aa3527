"""Exported files in their runtimes beside PyTorch, in process and at tiny sizes."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from ispbench.data.pairs import PairDataset
from ispbench.errors import UserError
from ispbench.exporting.calibration import draw
from ispbench.exporting.export import OutOfToleranceError, export
from ispbench.exporting.graph import Graph, check_size
from ispbench.exporting.operators import half_precision_flags, onnx_operators
from ispbench.exporting.request import Request
from ispbench.exporting.runtimes import open_file
from ispbench.models.build import build_model
from ispbench.models.layers import LayerNorm2d
from ispbench.protocols.original import OriginalGT
from tests.evaluation.toy_data import ToyData, ToySource, images_of
from tests.toys import ToyISP

SMALL = Request(height=16, width=24, images=2)


class SplitData(ToyData):
    """Another image for each split."""

    def open(self, split):
        source = ToySource(self.count, self.size)
        source.names = [f"{split}-{name}" for name in source.names]
        read, shift = source.read, {"train": 0, "val": 100, "test": 200}[split]
        source.read = lambda index: read(index + shift)
        return source


@pytest.fixture(scope="module")
def onnx():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    return pytest.importorskip("onnx")


def save(tmp_path, request, model=None, name="toy", data=None):
    suffix = {"onnx": ".onnx", "torchscript": ".pt", "executorch": ".pte"}[request.format]
    path = tmp_path / f"{name}{suffix}"
    model = (model or ToyISP()).eval()
    description = export(model, data or SplitData(), OriginalGT(), request, path, progress=False)
    assert json.loads(path.with_suffix(".json").read_text())["hash"] == description["hash"]
    return description, path, model


def rendered(model, raw):
    with torch.inference_mode():
        return model(raw).numpy()


def test_a_static_file_takes_its_size_alone(onnx, tmp_path):
    description, path, model = save(tmp_path, SMALL)
    raw = images_of(SplitData())[0][:1, :, :8, :12].contiguous()
    np.testing.assert_allclose(open_file(path)(raw.numpy()), rendered(model, raw), atol=1e-6)
    with pytest.raises(Exception, match="Got invalid dimensions"):
        open_file(path)(raw.numpy()[..., :10])
    assert description["input"]["shape"] == [1, 4, 8, 12]
    assert (description["input"]["black_level"], description["input"]["white_level"]) == (64, 1023)
    assert description["input"]["planes"] == ["R", "Gr", "Gb", "B"]
    assert not description["input"]["levels_are_constants"]
    assert description["operators"] == onnx_operators(path)
    assert description["comparison"]["before"]["psnr"] == pytest.approx(description["comparison"]["after"]["psnr"])
    graph = onnx.load(str(path))
    assert [item.version for item in graph.opset_import if item.domain in ("", "ai.onnx")] == [description["opset"]]


@pytest.mark.parametrize("format", ["onnx", "torchscript"])
def test_a_dynamic_file_takes_other_multiples_of_its_divisor(format, request, tmp_path):
    if format == "onnx":
        request.getfixturevalue("onnx")
    wanted = Request(format=format, height=16, width=24, dynamic=True, images=1)
    description, path, model = save(tmp_path, wanted, build_model("lan"))
    assert description["size"] | {"tested": [[16, 24], [20, 36]]} == description["size"]
    assert description["size"]["divisor"] == 4
    for height, width in ((8, 40), (32, 12)):
        raw = torch.rand(1, 4, height // 2, width // 2)
        np.testing.assert_allclose(open_file(path)(raw.numpy()), rendered(model, raw), atol=1e-5)
    assert description["comparison"]["psnr"] > 100


def test_levels_inside_take_the_numbers_of_the_sensor(onnx, tmp_path):
    _, path, model = save(tmp_path, replace(SMALL, levels_inside=True))
    dn = torch.randint(64, 1023, (1, 4, 8, 12)).float()
    np.testing.assert_allclose(open_file(path)(dn.numpy()), rendered(model, (dn - 64) / (1023 - 64)), atol=1e-6)


def test_half_precision_rounds_as_float16_does(onnx, tmp_path):
    description, path, _ = save(tmp_path, replace(SMALL, precision="fp16"))
    weights = [item for item in onnx.load(str(path)).graph.initializer if len(item.dims) == 4]
    assert {item.data_type for item in weights} == {onnx.TensorProto.FLOAT16}
    assert 0 < description["comparison"]["max_error"] < 2e-3
    assert description["flags"] == []


def test_int8_is_calibrated_on_training_images_alone(onnx, tmp_path):
    description, path, _ = save(tmp_path, replace(SMALL, precision="int8", calibration=3, seed=7))
    calibrated = description["calibration"]
    assert calibrated["split"] == "train"
    assert calibrated["seed"] == 7
    data = SplitData()
    pairs = PairDataset(data.source("train"), crop=24, seed=7)
    numbers = [int(name.removeprefix("train-toy")) for name in calibrated["names"]]
    assert len(set(numbers)) == 3
    hashes = [hashlib.sha256(pairs[number, number]["raw"].tobytes()).hexdigest()[:16] for number in numbers]
    assert calibrated["hashes"] == hashes
    images = draw(data, 3, 16, 24, 7).images
    expected = (pairs[numbers[0], numbers[0]]["raw"].astype(np.float32) - 64) / (1023 - 64)
    np.testing.assert_allclose(images[0][0], expected[:, :8, :12], rtol=1e-6)
    assert {"QuantizeLinear", "DequantizeLinear"} <= set(description["operators"])
    kinds = {item.data_type for item in onnx.load(str(path)).graph.initializer if len(item.dims) == 4}
    assert kinds == {onnx.TensorProto.INT8}
    assert 30 < description["comparison"]["psnr"] < 80


class Overflowing(ToyISP):
    """Multiplies by what no float16 holds, and divides by it again."""

    def __init__(self):
        super().__init__()
        first, last = nn.Conv2d(4, 4, 1, bias=False), self.net[0]
        with torch.no_grad():
            first.weight.copy_(1e6 * torch.eye(4)[..., None, None])
            last.weight.div_(1e6)
        self.net = nn.Sequential(first, last, nn.PixelShuffle(2))


def test_a_file_out_of_tolerance_leaves_nothing_unless_it_is_to_be_kept(onnx, tmp_path):
    request = replace(SMALL, precision="fp16")
    with pytest.raises(OutOfToleranceError, match=r"not the same network: the largest error is .* keep=true"):
        save(tmp_path, request, Overflowing())
    assert not list(tmp_path.iterdir())
    description, path, _ = save(tmp_path, replace(request, keep=True), Overflowing())
    assert path.is_file()
    assert description["comparison"]["failures"]
    assert any("float16 overflows in 1 layers" in flag for flag in description["flags"])


def test_a_norm_whose_variance_leaves_float16_is_named():
    model = nn.Sequential(LayerNorm2d(8), nn.ReLU())
    x = torch.randn(1, 8, 4, 4) * 100
    largest = float((x - x.mean(1, keepdim=True)).square().sum(1).max())
    assert largest > 65504
    (flag,) = half_precision_flags(model, x)
    assert flag == f"float16 overflows in 1 layers: a norm sums squares to {largest:.3g} in 0, more than 65504"
    assert half_precision_flags(model, x / 100) == []


class Turning(ToyISP):
    """Angles, also on the negative real axis, and a permutation of five dimensions."""

    def __init__(self):
        super().__init__()
        self.net = _Angles()


class _Angles(nn.Module):
    def forward(self, raw):
        x, y = raw[:, :3] - 0.5, raw[:, 1:].clamp_min(0.5) - 0.5
        angle = torch.atan2(y, x) / 7 + 0.5
        n, c, h, w = angle.shape
        cells = angle.reshape(n, c, 1, h, w).expand(n, c, 4, h, w)
        return nn.functional.pixel_shuffle(cells.permute(0, 2, 1, 3, 4).transpose(1, 2).reshape(n, 4 * c, h, w), 2)


def test_angles_on_the_negative_axis_are_pi_in_the_file_too(onnx, tmp_path):
    _, path, _ = save(tmp_path, SMALL, Turning())
    raw = torch.full((1, 4, 8, 12), 0.5)
    raw[:, 0] = 0.0
    expected = np.arctan2(0.0, -0.5) / 7 + 0.5
    np.testing.assert_allclose(open_file(path)(raw.numpy())[0, 0], expected, atol=1e-6)


def test_merged_networks_are_exported_merged(onnx, tmp_path):
    description, _, model = save(tmp_path, SMALL, build_model("syenet"))
    assert model.net.deployed
    assert 0 <= description["merged_branches"] < 1e-4
    assert description["operators"]["Conv"] == sum(isinstance(part, nn.Conv2d) for part in model.net.modules())
    assert description["input"]["levels_are_constants"]


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"height": 20}, "multiples of 16, at least 2, not 20x24; set size=32x32"),
        ({"format": "torchscript", "precision": "int8"}, "int8 is quantized by ONNX Runtime; set format=onnx"),
    ],
)
def test_a_wish_that_cannot_be_fulfilled_is_one_sentence(change, sentence):
    def wish():
        request = replace(SMALL, **change)
        check_size(build_model("metaisp"), request.height, request.width)

    with pytest.raises(UserError, match=sentence):
        wish()


def test_a_network_that_a_format_lacks_says_why(tmp_path):
    request = Request(format="torchscript", precision="fp16", height=32, width=32, images=1)
    with pytest.raises(UserError, match="FourierISP cannot be exported as torchscript in fp16 for 32x32: "):
        save(tmp_path, request, build_model("fourierisp", ["model.width=4"]))
    assert not list(tmp_path.iterdir())


def test_executorch_runs_what_it_was_given(tmp_path):
    pytest.importorskip("executorch", reason="the extra executorch is not installed")
    description, path, model = save(tmp_path, replace(SMALL, format="executorch"))
    raw = images_of(SplitData())[0][:1, :, :8, :12].contiguous()
    np.testing.assert_allclose(open_file(path)(raw.numpy()), rendered(model, raw), atol=1e-5)
    assert description["operators"]["XNNPACK"] >= 1


def test_the_graph_leaves_the_model_as_it_was():
    model = ToyISP().eval()
    graph = Graph(model, half=True)
    assert next(graph.parameters()).dtype == torch.float16
    assert next(model.parameters()).dtype == torch.float32
    assert graph(torch.rand(1, 4, 8, 8)).dtype == torch.float32
