import json

import cv2
import numpy as np
import pytest

from ispbench.cli.main import dispatch
from ispbench.config import compose_and_build
from ispbench.data.validation.plausibility import gray_world
from ispbench.errors import UserError
from tests.conftest import TINY_METAISP, ispbench_here
from tests.data.trees import SIZE, mai21_tree, pairs, rhid_tree, write, zrr_tree
from tests.results.runs import only_run

SMALL = ["data=mini", "data.num_train=6", "data.leaves=2", "data.megapixels=0.004", "data.crop=32"]
TINY_STEPS = ["trainer=cpu", "trainer.max_steps=2", "metrics=quality", "logger=csv", "callbacks.images=null"]
TINY_BATCHES = [f"data.size=[{SIZE},{SIZE}]", "data.crop=32", "data.batch_size=2", "num_workers=0"]
TINY_BATCHES += ["trainer.val_check_interval=2", "data.allow_partial=true"]


@pytest.fixture(scope="module")
def zrr(tmp_path_factory):
    root = tmp_path_factory.mktemp("zrr")
    zrr_tree(root, np.random.default_rng(0))
    return ["data=zrr", f"data.root={root}", *TINY_BATCHES]


def run(*arguments, cwd, status=0, **environment):
    done = ispbench_here(*arguments, cwd=cwd, **environment)
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def record(folder):
    return only_run(folder / "results")


def test_zrr_trains_tests_and_is_recorded_as_partial(zrr, tmp_path):
    done = run(*TINY_METAISP, *zrr, *TINY_STEPS, cwd=tmp_path)
    assert "zrr-v1-partial: 8 train, 2 val, 3 test pairs; black 63, white 1020" in done.stdout
    written = record(tmp_path)
    assert written["status"] == "finished"
    assert written["protocol"] == "zrr-v1-partial/original-gt"
    assert written["data"]["n_images"] == 3
    assert written["training"]["steps"] == 2
    assert np.isfinite(written["metrics"]["psnr"])


def test_mai21_trains_and_tests(tmp_path):
    mai21_tree(tmp_path / "mai21", np.random.default_rng(0))
    settings = ["data=mai21", f"data.root={tmp_path / 'mai21'}", *TINY_BATCHES]
    run(*TINY_METAISP, *settings, *TINY_STEPS, cwd=tmp_path)
    written = record(tmp_path)
    assert written["protocol"] == "mai21-v1-partial/own-split"
    assert written["data"]["n_images"] == 2
    assert np.isfinite(written["metrics"]["psnr"])


def test_rhid_is_checked(tmp_path):
    rhid_tree(tmp_path / "rhid", np.random.default_rng(0))
    settings = ["data=rhid", f"data.root={tmp_path / 'rhid'}", f"data.size=[{SIZE},{SIZE}]"]
    done = run("data", "check", *settings, cwd=tmp_path)
    assert "pairs found: 10 train, 2 val, 4 test" in done.stdout


def test_check_reports_a_sound_tree_and_its_eight_bit_files(zrr, tmp_path):
    done = run("data", "check", *zrr, cwd=tmp_path)
    assert "4 of 13 RAW files store 8 bits; read on the 10-bit scale" in done.stdout
    assert "CFA phase RGGB: colors agree" in done.stdout
    assert "13 pairs match" in done.stdout
    assert "46,829 x pair missing" in done.stdout
    assert "ERROR" not in done.stdout


def test_check_names_every_broken_file(tmp_path):
    root = tmp_path / "data"
    for number, (mosaic, target) in enumerate(pairs(12, np.random.default_rng(0))):
        write(root, f"p{number}", mosaic, target)
    (root / "gt" / "p0.png").unlink()
    (root / "raw" / "p1.png").unlink()
    cut = root / "raw" / "p2.png"
    cut.write_bytes(cut.read_bytes()[:-40])
    cv2.imwrite(str(root / "raw" / "p3.png"), np.full((32, 32), 100, np.uint16))
    (root / "raw" / "p4.png").write_bytes((root / "gt" / "p4.png").read_bytes())
    cv2.imwrite(str(root / "raw" / "p5.png"), np.full((SIZE, SIZE), 4000, np.uint16))
    held = (root / "raw" / "p6.png").read_bytes()
    (root / "raw" / "p6.png").write_bytes((root / "raw" / "p7.png").read_bytes())
    (root / "raw" / "p7.png").write_bytes(held)
    settings = ["data=folder", f"data.root={root}", "data.black_level=63", "data.white_level=1020"]
    done = run("data", "check", *settings, cwd=tmp_path, status=1)
    for message in (
        "1 x RAW file without a target of its name in gt/\n           raw/p0.png",
        "1 x target without a RAW file of its name in raw/\n           gt/p1.png",
        "> a pair has one name in both folders; restore the partner or remove the file",
        "4 pairs cannot be used",
        "raw/p2.png is not a whole image file; copy or download it again.",
        f"raw/p3.png is 32x32 but {root}/gt/p3.png is 64x64",
        "raw/p4.png has 3 channels; a Bayer mosaic is a gray image",
        "raw/p5.png reaches 4000, above the 10 bits of data.white_level=1020",
        "2 RAW files show what another pair's target shows: they were exchanged",
    ):
        assert message in done.stdout
    assert "The check found 4 kinds of errors" in done.stderr


@pytest.mark.parametrize(
    "override, message",
    [
        ("data.cfa=BGGR", "set data.cfa=RGGB"),
        ("data.black_level=250", "of the RAW values lie below data.black_level=250"),
        ("data.white_level=16383", "set data.white_level=1023 data.black_level=4"),
        ("data.allow_partial=false", "lacks 14.png, 15.png, 16.png, ..."),
    ],
)
def test_check_finds_wrong_settings(override, message, tmp_path):
    zrr_tree(tmp_path / "zrr", np.random.default_rng(0), train=14)
    settings = ["data=zrr", f"data.root={tmp_path / 'zrr'}", *TINY_BATCHES]
    done = run("data", "check", *settings, override, cwd=tmp_path, status=1)
    assert message in done.stdout
    assert "the report above says what to do" in done.stderr


def test_check_notices_converted_files(tmp_path):
    for number, (mosaic, target) in enumerate(pairs(20, np.random.default_rng(0))):
        write(tmp_path / "data", str(number), mosaic // 4, target, eight_bit=True)
    settings = [f"data.root={tmp_path / 'data'}", "data.black_level=16", "data.white_level=1020"]
    done = run("data", "check", "data=folder", *settings, cwd=tmp_path, status=1)
    assert "20 of 20 RAW files store 8 bits of a 10-bit sensor" in done.stdout
    assert "unpack the original archive" in done.stdout


@pytest.mark.parametrize(
    "name, size, link", [("zrr", "24 GB", "ethz"), ("mai21", "24 thousand", "28054"), ("rhid", "MB", "MisISP")]
)
def test_a_missing_dataset_says_where_it_is(name, size, link, tmp_path):
    done = run("data", "check", f"data={name}", f"data.root={tmp_path / 'none'}", cwd=tmp_path, status=1)
    for part in (size, link, "set data.root to the dataset's folder", "Expected: "):
        assert part in done.stderr


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["chek"], "Unknown command 'chek' of ispbench data. Did you mean 'check'?"),
        (["check", "--fast", "data=mini"], "Unknown argument '--fast'"),
        (["stats", "data=folder"], "data.black_level, data.white_level have no default"),
        (["check", "data=folder", "data.black_level=0", "data.white_level=1023"], "data.root has no default"),
        (["show", *SMALL, "--names", "nobody"], "no pair nobody"),
        (["show", "data=mini", "--full-resolution"], "no full-resolution files"),
        (["show", "data=mini", "output=pairs"], "output=pairs is to end in .png or .jpg"),
        (["stats", "data=mini", "limit=0"], "limit is a whole number of at least 1, not '0'"),
        (["check", "data=zrr", "data.on_error=ignore"], "data.on_error must be one of raise, skip"),
    ],
)
def test_a_users_mistake_is_one_sentence(arguments, message):
    with pytest.raises(UserError) as error:
        dispatch(["data", *arguments])
    assert message in str(error.value)


def test_stats_of_the_embedded_data(tmp_path, capsys):
    dispatch(["data", "stats", *SMALL, f"output={tmp_path / 'new' / 'stats.json'}"])
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    measured = json.loads((tmp_path / "new" / "stats.json").read_text())
    (data,) = compose_and_build(SMALL, "data")
    source = data.source("test")
    mosaics, targets = zip(*(source.read(index) for index in range(len(source))), strict=True)
    assert measured["train"]["pairs"] == measured["train"]["read"] == 6
    assert measured["test"]["pairs"] == 9
    assert measured["test"]["sizes"] == {"76x52": 9}
    assert measured["test"]["raw_max"] == max(mosaic.max() for mosaic in mosaics)
    green = np.mean([target[..., 1].mean() for target in targets])
    assert measured["test"]["target_G"] == pytest.approx(green, abs=0.06)
    assert measured["test"]["luminance_correlation"] > 0.5
    assert ["pairs", *(str(measured[split]["pairs"]) for split in ("train", "val", "test"))] in printed


def test_pairs_of_the_embedded_data_are_shown(tmp_path):
    (data,) = compose_and_build(SMALL, "data")
    source = data.source("test")
    dispatch(["data", "show", *SMALL, f"--names=test:{source.names[4]}", f"output={tmp_path / 'pair.png'}"])
    grid = cv2.cvtColor(cv2.imread(str(tmp_path / "pair.png")), cv2.COLOR_BGR2RGB)
    mosaic, target = source.read(4)
    height, width = mosaic.shape
    rendering = gray_world(mosaic, data.black_level, data.white_level)
    np.testing.assert_array_equal(grid[:height, width : 2 * width], target)
    np.testing.assert_array_equal(grid[:height, :width], np.rint(rendering * 255))
    assert (grid[height:] == 255).all()
    dispatch(["data", "show", *SMALL, "count=3", "size=32", f"output={tmp_path / 'pairs.png'}"])
    assert cv2.imread(str(tmp_path / "pairs.png")).shape == (2 * (22 + 4), 2 * (64 + 4), 3)


def test_the_embedded_data_is_sound_and_never_packed(capsys):
    dispatch(["data", "check", *SMALL, "data.megapixels=0.05", "limit=4"])
    assert "pairs found: 6 train" in capsys.readouterr().out
    with pytest.raises(UserError, match="read without a packed copy"):
        dispatch(["data", "pack", *SMALL, "--split", "train"])


def test_full_resolution_files_are_shown(tmp_path):
    zrr_tree(tmp_path / "zrr", np.random.default_rng(0))
    options = ["--full-resolution", "--output", str(tmp_path / "f.png")]
    dispatch(["data", "show", "data=zrr", f"data.root={tmp_path / 'zrr'}", *options])
    assert cv2.imread(str(tmp_path / "f.png")).shape == (2 * SIZE + 4, 2 * SIZE + 4, 3)


def test_a_truncated_target_ends_a_training_by_name_or_is_skipped(tmp_path):
    zrr_tree(tmp_path / "zrr", np.random.default_rng(0))
    for number in range(3):
        path = tmp_path / "zrr" / "train" / "canon" / f"{number}.jpg"
        path.write_bytes(path.read_bytes()[:-60])
    settings = [*TINY_METAISP, "data=zrr", f"data.root={tmp_path / 'zrr'}", *TINY_BATCHES, *TINY_STEPS]
    settings += ["num_workers=1", "trainer.max_steps=4", "trainer.val_check_interval=4", "test=false"]
    done = run(*settings, cwd=tmp_path, status=1)
    assert ".jpg is not a whole image file; copy or download it again." in done.stderr
    assert record(tmp_path)["status"] == "failed"
    (tmp_path / "skip").mkdir()
    done = run(*settings, "data.on_error=skip", cwd=tmp_path / "skip")
    assert "skipped a pair (data.on_error=skip)" in done.stderr
    assert record(tmp_path / "skip")["status"] == "finished"


def test_real_pairs_are_checked_measured_shown_packed_trained_and_tested(shared, tmp_path):
    settings = ["data=folder", f"data.root={shared / 'data' / 'mini_rhid'}", "data.black_level=0"]
    settings += ["data.white_level=4095", "data.size=[512,512]"]
    place = {"ISPBENCH_CACHE": str(tmp_path / "cache")}
    done = run("data", "check", *settings, cwd=tmp_path, **place)
    assert "10 pairs match" in done.stdout

    dispatch(["data", "stats", *settings, "--output", str(tmp_path / "stats.json")])
    measured = json.loads((tmp_path / "stats.json").read_text())
    assert [measured[split]["pairs"] for split in ("train", "val", "test")] == [7, 1, 2]
    assert measured["train"]["raw_max"] == 4095
    assert measured["train"]["raw_Gr"] > measured["train"]["raw_R"] > 0

    options = ["split=train", "count=3", "size=64", f"output={tmp_path / 'pairs.png'}"]
    dispatch(["data", "show", *settings, *options])
    grid = cv2.imread(str(tmp_path / "pairs.png"))
    assert grid.shape == (2 * 68, 2 * 132, 3)
    assert 20 < grid[:64, :128].mean() < 235

    done = run("data", "pack", *settings, cwd=tmp_path, **place)
    assert "train: packed 7 pairs" in done.stdout
    options = [*settings, "data.crop=64", "data.batch_size=2", "num_workers=1", "trainer.val_check_interval=2"]
    run(*TINY_METAISP, *options, *TINY_STEPS, cwd=tmp_path, **place)
    assert record(tmp_path)["data"]["n_images"] == 2
