"""``ispbench export`` and ``ispbench profile runtimes=...`` as a user runs them."""

import json

import pytest

from tests.cli.test_main import in_process
from tests.conftest import TINY_DATA, ispbench


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    folder = tmp_path_factory.mktemp("export")
    done = ispbench("export", "model=lan", "size=64", "images=1", *TINY_DATA, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "wrote exports/lan-64x64-fp32.onnx" in done.stdout
    return folder


def test_a_file_and_its_description_are_written(folder):
    about = json.loads((folder / "exports" / "lan-64x64-fp32.json").read_text())
    assert about["model"] == "lan"
    assert about["weights"] == "untrained, seed 0"
    assert about["comparison"]["protocol"].startswith("mini-v2")
    assert about["comparison"]["max_error"] < 1e-5
    assert about["input"]["black_level"] == 4096


def test_exported_files_are_timed_beside_pytorch(folder):
    runtimes = "runtimes=eager,exports/lan-64x64-fp32.onnx"
    done = ispbench(
        "profile", "model=lan", runtimes, "size=64", "repetitions=3", "threads=1", "--output", "found.json", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    eager, exported = json.loads((folder / "found.json").read_text())["models"]
    assert (eager["runtime"], exported["runtime"]) == ("eager", "exports/lan-64x64-fp32.onnx")
    assert eager["file_mb"] is None
    assert exported["file_mb"] == pytest.approx((folder / exported["runtime"]).stat().st_size / 2**20)
    assert exported["threads"] == 1
    assert exported["peak_memory_mb"] < eager["peak_memory_mb"]
    about = json.loads((folder / "exports" / "lan-64x64-fp32.json").read_text())
    assert exported["mai_score"] == pytest.approx(
        2 ** (2 * about["comparison"]["after"]["psnr"]) / exported["median_ms"]
    )


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["export"], "Say what to export: weights=PATH, or model=NAME"),
        (["export", "model=lan", "size=64", "output=lan.pte"], "ends in .onnx, unlike output=lan.pte"),
        (["export", "model=lan", "size=64"], "exports/lan-64x64-fp32.onnx exists already; set overwrite=true"),
        (["export", "weights=none.ckpt"], "There is no checkpoint file none.ckpt"),
        (["export", "model=lan", "format=tflite"], "format is one of onnx, torchscript, executorch, not 'tflite'"),
        (["export", "model=lan", "precision=int8", "format=executorch"], "int8 is quantized by ONNX Runtime"),
        (["profile", "model=lan", "runtimes=onxn"], "Did you mean 'onnx'?"),
        (["profile", "model=lan", "runtimes=onnx", "device=cuda"], "device has no meaning with runtimes="),
    ],
)
def test_a_mistake_is_one_sentence(arguments, sentence, folder, monkeypatch, capsys):
    status, told = in_process(folder, monkeypatch, capsys, *arguments)
    assert status == 1
    assert sentence in told
    assert "Traceback" not in told
