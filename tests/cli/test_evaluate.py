"""``ispbench evaluate``, ``ispbench score``, and what one training serves."""

import json
import shutil

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

import ispbench as package
from ispbench.checkpoints import describe
from tests.cli.test_main import in_process
from tests.conftest import TINY_DATA, TINY_METAISP, ispbench

QUICK = ["trainer=cpu", "trainer.max_steps=2", "logger=csv", "metrics=quality"]
RUN = [*TINY_METAISP, *TINY_DATA, *QUICK]


def records(folder, kind):
    found = [json.loads(path.read_text()) for path in (folder / "results" / f"{kind}s").glob("*.json")]
    return sorted(found, key=lambda record: record["date"])


def run_folder(folder):
    (path,) = (folder / "outputs").glob("2*/*")
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    done = ispbench(*RUN, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def copy(trained, tmp_path):
    """The finished run, to be changed."""
    shutil.copytree(trained, tmp_path / "copy")
    return tmp_path / "copy"


def test_a_run_has_a_training_and_an_evaluation_that_names_it(trained):
    (training,), (evaluation,) = records(trained, "training"), records(trained, "evaluation")
    assert training["status"] == evaluation["status"] == "finished"
    assert evaluation["training_key"] == training["key"]
    assert evaluation["origin"] == "training"
    assert training["training"]["steps"] == 2
    assert training["training"]["learning_rate"] == pytest.approx(5e-4)
    checkpoint = run_folder(trained) / "checkpoints" / "last.ckpt"
    about = describe(checkpoint)
    assert about["training"] == training["key"]
    assert (about["levels"], about["balanced"]) == ([4096, 65535], False)
    assert training["training"]["checkpoints"]["last"] == evaluation["weights"]
    assert evaluation["checkpoint"]["name"] == "last"
    assert evaluation["checkpoint"]["step"] == 2
    assert evaluation["checkpoint"]["val_psnr"] == pytest.approx(training["training"]["val_psnr"])
    assert evaluation["by"]["camera"]["imx378"]["psnr"] == pytest.approx(evaluation["metrics"]["psnr"], abs=1e-4)
    assert set(evaluation["by"]["photo"]) == {"coffee", "china", "flower"}


def test_one_training_serves_a_second_protocol(copy, monkeypatch, capsys):
    arguments = [*RUN, "protocol=aligned-gt-output"]
    status, told = in_process(copy, monkeypatch, capsys, *arguments)
    assert not status
    assert "training of metaisp" in told
    assert "finished before" in told
    assert len(records(copy, "training")) == 1
    assert [record["protocol"] for record in records(copy, "evaluation")] == [
        "mini-v2-one-camera/original-gt",
        "mini-v2-one-camera/aligned-gt-output-dis",
    ]


def test_a_run_folder_is_evaluated_on_another_split_by_other_metrics(copy, monkeypatch, capsys):
    run = run_folder(copy)
    arguments = ["evaluate", f"weights={run}", "eval.split=val", "metrics.scores=[psnr,psnr_color_fitted]"]
    status, _ = in_process(copy, monkeypatch, capsys, *arguments)
    assert not status
    found = records(copy, "evaluation")[-1]
    assert found["split"] == "val"
    assert found["training_key"] == records(copy, "training")[0]["key"]
    assert set(found["metrics"]) == {"psnr", "psnr_color_fitted", "nonfinite"}
    _, told = in_process(copy, monkeypatch, capsys, *arguments)
    assert "was finished before" in told


def test_a_checkpoint_alone_brings_model_options_and_training(trained, tmp_path, monkeypatch, capsys):
    checkpoint = tmp_path / "weights.ckpt"
    shutil.copy(run_folder(trained) / "checkpoints" / "last.ckpt", checkpoint)
    arguments = ["evaluate", f"weights={checkpoint}", *TINY_DATA, "metrics=quality", "trainer=cpu"]
    status, _ = in_process(tmp_path, monkeypatch, capsys, *arguments)
    assert not status
    (found,), (first,) = records(tmp_path, "evaluation"), records(trained, "evaluation")
    assert found["metrics"]["psnr"] == pytest.approx(first["metrics"]["psnr"], abs=1e-4)
    assert found["variant"] == first["variant"]
    assert found["training_key"] == first["training_key"]


def test_in_python_the_scores_are_those_of_the_command_line(trained):
    options = {key.removeprefix("data."): value for key, value in (item.split("=") for item in TINY_DATA)}
    numbers = {key: int(options[key]) for key in ("num_train", "leaves", "crop", "batch_size")}
    data = package.load_data("mini", **numbers, megapixels=float(options["megapixels"]))
    model = package.create_model(weights=run_folder(trained))
    result = package.evaluate(model, data, metrics=["psnr", "ssim"], device="cpu", progress=False)
    (record,) = records(trained, "evaluation")
    assert result.summary["psnr"] == pytest.approx(record["metrics"]["psnr"], abs=1e-4)
    (scores,) = (trained / "results" / "evaluations").glob("*.scores.csv")
    np.testing.assert_allclose(pd.read_csv(scores)["psnr"], result.scores["psnr"], atol=1e-3)


MODEL = '''"""A network of one's own."""
from torch import nn

from ispbench.models.interface import ISPModel


class Own(ISPModel):
    """One convolution."""

    def __init__(self, kernel=3):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(4, 12, kernel, padding=kernel // 2), nn.PixelShuffle(2))
'''


def test_a_model_of_ones_own_trains_is_evaluated_twice_and_anew_after_its_code_changed(tmp_path):
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "own_net.py").write_text(MODEL)
    (tmp_path / "conf" / "model" / "own.yaml").write_text("_target_: own_net.Own\nkernel: 3\n")
    command = ["--config-dir", "conf", "model=own", *TINY_DATA, *QUICK]
    done = ispbench(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = ispbench(*command, "protocol=aligned-gt-output", cwd=tmp_path)
    assert "finished before" in done.stderr
    assert len(records(tmp_path, "training")) == 1
    assert len(records(tmp_path, "evaluation")) == 2
    assert records(tmp_path, "training")[0]["variant"] == ""

    (tmp_path / "own_net.py").write_text(MODEL.replace("One convolution.", "A convolution, described better."))
    done = ispbench(*command, cwd=tmp_path)
    assert "finished before" in done.stderr, "words do not count"
    (tmp_path / "own_net.py").write_text(MODEL.replace("nn.PixelShuffle(2)", "nn.PixelShuffle(2), nn.Sigmoid()"))
    done = ispbench(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "finished before" not in done.stderr
    assert len(records(tmp_path, "training")) == 2


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Pairs in folders, a training on them, and its renderings of the test pairs."""
    folder = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    for split, count in (("train", 2), ("val", 1), ("test", 3)):
        for name in ("raw", "gt"):
            (folder / "data" / split / name).mkdir(parents=True)
        for number in range(count):
            target = cv2.resize(rng.integers(0, 256, (8, 8, 3), np.uint8), (64, 64), interpolation=cv2.INTER_CUBIC)
            mosaic = (64 + 3 * target[..., 1].astype(np.uint16)).astype(np.uint16)
            cv2.imwrite(str(folder / "data" / split / "raw" / f"{number}.png"), mosaic)
            cv2.imwrite(str(folder / "data" / split / "gt" / f"{number}.png"), target)
    data = ["data=folder", "data.root=data", "data.black_level=64", "data.white_level=1023", "num_workers=0"]
    done = ispbench(*TINY_METAISP, *data, *QUICK, "data.crop=32", "data.batch_size=2", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, data


@pytest.mark.parametrize("format, tolerance", [("png", 1e-6), ("jpg", 3.0)])
def test_rendered_images_score_what_their_model_scores(pairs, format, tolerance, monkeypatch, capsys):
    folder, data = pairs
    checkpoint = run_folder(folder) / "checkpoints" / "last.ckpt"
    options = ["model=metaisp", *(item for item in TINY_METAISP[1:]), f"weights={checkpoint}", "device=cpu"]
    levels = [item for item in data if "level" in item]
    done = ispbench(
        "render", "data/test/raw", *options, f"out={format}", f"format={format}", "data=folder", *levels, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    status, told = in_process(
        folder, monkeypatch, capsys, "score", format, *data, "metrics=quality", "suffix=-metaisp", f"name=seen-{format}"
    )
    assert not status, told
    scored = next(record for record in records(folder, "evaluation") if record["model"] == f"seen-{format}")
    first = next(record for record in records(folder, "evaluation") if record["model"] == "metaisp")
    assert scored["origin"] == "images"
    assert scored["training_key"] is None
    for name in ("psnr", "ssim"):
        assert scored["metrics"][name] == pytest.approx(first["metrics"][name], abs=tolerance)


@pytest.mark.parametrize(
    "harm, sentence",
    [
        (lambda folder: (folder / "1.png").unlink(), r"1 missing (1)"),
        (lambda folder: shutil.copy(folder / "1.png", folder / "7.png"), "1 extra (7.png)"),
        (lambda folder: shutil.copy(folder / "1.png", folder / "1.tif"), "1 ambiguous (1)"),
        (lambda folder: cv2.imwrite(str(folder / "1.png"), np.zeros((8, 16, 3))), "1.png has 16x8 pixels"),
        (lambda folder: (folder / "1.png").write_bytes(b"no image"), "1.png is not a whole image"),
        (lambda folder: shutil.rmtree(folder), "There is no folder"),
    ],
)
def test_images_that_do_not_fit_are_named(harm, sentence, pairs, tmp_path, monkeypatch, capsys):
    folder, data = pairs
    shutil.copytree(folder / "data" / "test" / "gt", tmp_path / "images")
    harm(tmp_path / "images")
    where = [*data, f"data.root={folder / 'data'}", "metrics=quality"]
    status, told = in_process(tmp_path, monkeypatch, capsys, "score", "images", *where)
    assert status == 1
    assert sentence in told
    assert "Traceback" not in told
    assert not list(tmp_path.glob("results/**/*.json"))


def test_names_with_an_ending_are_hinted_at(pairs, tmp_path, monkeypatch, capsys):
    folder, data = pairs
    shutil.copytree(folder / "data" / "test" / "gt", tmp_path / "images")
    for path in (tmp_path / "images").iterdir():
        path.rename(path.with_name(f"{path.stem}-lan.png"))
    where = [*data, f"data.root={folder / 'data'}", "metrics=quality"]
    _, told = in_process(tmp_path, monkeypatch, capsys, "score", "images", *where)
    assert "Files are named NAME-lan" in told


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["evaluate"], "weights"),
        (["evaluate", "weights=none.ckpt"], "There is no checkpoint file none.ckpt"),
        (["evaluate", "weights=RUN", "modle=lan"], "model"),
        (["evaluate", "weights=RUN", "model=lan"], "is not a checkpoint of this lan"),
        (["evaluate", "weights=RUN", "data.crp=3"], "Did you mean 'crop'?"),
        (["evaluate", "weights=RUN", "protocol=aligned"], "Unknown choice protocol=aligned"),
    ],
)
def test_a_mistake_in_an_evaluation_is_one_sentence(arguments, sentence, copy, monkeypatch, capsys):
    arguments = [argument.replace("RUN", str(run_folder(copy))) for argument in arguments]
    status, told = in_process(copy, monkeypatch, capsys, *arguments)
    assert status
    assert sentence in told
    assert "Traceback" not in told


def test_the_model_is_left_untouched_by_the_data_of_an_evaluation(trained):
    model = package.create_model(weights=run_folder(trained) / "checkpoints" / "last.ckpt")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    data = package.load_data("mini", leaves=1, megapixels=0.004, crop=32)
    package.evaluate(model, data, metrics=["psnr"], limit=2, device="cpu", progress=False)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert (model.black_level, model.white_level) == (4096, 65535)
