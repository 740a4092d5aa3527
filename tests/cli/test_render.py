import os
import re

import cv2
import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from PIL import Image

from ispbench.cli.main import dispatch
from ispbench.config import compose
from ispbench.errors import UserError
from ispbench.models.build import build_model
from ispbench.raw.bayer import pack
from ispbench.raw.camera_file import read_camera
from ispbench.raw.camera_targets import libraw_rendering
from ispbench.rendering.photo import Sensor, read_photo
from tests.conftest import TINY_METAISP, ispbench
from tests.raw.dng import write_dng
from tests.raw.test_camera import GRBG, SHARED_FILES, photograph, scene


def read(path):
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


@pytest.fixture
def photo(tmp_path, rng):
    return photograph(tmp_path / "photo.dng", scene(rng, 120, 160))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A tiny MetaISP as a run saves it, and the image it gives."""
    torch.manual_seed(0)
    model = build_model("metaisp", TINY_METAISP[1:]).eval()
    path = tmp_path_factory.mktemp("weights") / "best.ckpt"
    torch.save({"state_dict": {f"model.{name}": value for name, value in model.state_dict().items()}}, path)
    return path, model


def test_a_camera_file_from_the_command_line(photo, weights, tmp_path):
    path, model = weights
    done = ispbench("render", photo, *TINY_METAISP, f"weights={path}", "out=here", "device=cpu", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (
        "photo.dng: 160x120 RGGB, black 60 60 60 60, white 4095 from the file -> here/photo-metaisp.png" in done.stdout
    )
    raw = torch.from_numpy(read_camera(photo).canonical())[None]
    with torch.inference_mode():
        expected = (model(raw)[0] * 255).round().permute(1, 2, 0).numpy()
    np.testing.assert_allclose(read(tmp_path / "here" / "photo-metaisp.png"), expected, atol=1)


def test_bayer_images_need_their_sensor(tmp_path, rng, monkeypatch, capsys):
    mosaic = rng.integers(64, 1000, (64, 98)).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "full.png"), mosaic)
    monkeypatch.chdir(tmp_path)
    arguments = ["full.png", "model=classical", "device=cpu"]
    with pytest.raises(UserError, match=r"full\.png is a Bayer image without levels"):
        dispatch(["render", *arguments])
    levels = ["data.black_level=64", "data.white_level=1023"]
    dispatch(["render", *arguments, *levels, "data.cfa=GRBG", "format=jpg"])
    assert "full.png: 96x64 GRBG, black 64, white 1023" in capsys.readouterr().out
    image = read(tmp_path / "outputs" / "render" / "full-classical.jpg")
    packed = torch.from_numpy((pack(mosaic[:, 1:97]).astype(np.float32) - 64) / 959)[None]
    expected = build_model("classical").eval()(packed)[0].permute(1, 2, 0).mul(255).numpy()
    assert np.abs(image.mean((0, 1)) - expected.mean((0, 1))).max() < 1.5
    with pytest.raises(UserError, match=r"far above data\.white_level=255"):
        dispatch(["render", *arguments, "data.black_level=0", "data.white_level=255", "out=other"])


def test_a_bayer_image_reaches_the_network_as_in_training(tmp_path, rng):
    for number in range(5):
        for folder, image in (
            ("raw", rng.integers(0, 1024, (32, 48)).astype(np.uint16)),
            ("gt", np.zeros((32, 48, 3))),
        ):
            (tmp_path / folder).mkdir(exist_ok=True)
            cv2.imwrite(str(tmp_path / folder / f"{number}.png"), image)
    config = compose(["data=folder", f"data.root={tmp_path}", "data.black_level=64", "data.white_level=1000"])
    data = instantiate(config.data)
    batch = data.to_canonical(next(iter(data.test_dataloader())))
    rendered = read_photo(tmp_path / "raw" / f"{batch['name'][0]}.png", Sensor(64, 1000)).raw
    np.testing.assert_array_equal(rendered, batch["raw"][0].numpy())
    assert rendered.min() < 0
    assert rendered.max() > 1


def test_a_camera_file_reaches_the_network_as_in_training(tmp_path, rng):
    for number in range(3):
        mosaic = rng.integers(0, 4096, (64, 64)).astype(np.uint16)
        write_dng(tmp_path / f"{number}.dng", mosaic, black=(256,) * 4, white=3900)
    config = compose(["data=camera", f"data.root={tmp_path}", "data.tile=64"])
    data = instantiate(config.data)
    batch = data.to_canonical(next(iter(data.test_dataloader())))
    rendered = read_photo(tmp_path / batch["name"][0].split("@")[0], Sensor(0, 1)).raw
    step = 1 / (data.white_level - data.black_level)
    np.testing.assert_allclose(batch["raw"][0].numpy(), rendered, rtol=0, atol=0.51 * step)
    assert rendered.min() < 0
    assert rendered.max() > 1


def test_a_full_resolution_folder(tmp_path, rng, weights):
    """The layout of ZRR's full_resolution/huawei_raw, at a fraction of its size; one file is 8-bit, one is broken."""
    folder = tmp_path / "full_resolution" / "huawei_raw"
    folder.mkdir(parents=True)
    for name, bits, kind in (("1", 10, np.uint16), ("2", 8, np.uint8), ("3", 10, np.uint16)):
        cv2.imwrite(str(folder / f"{name}.png"), rng.integers(63, 2**bits, (96, 128)).astype(kind))
    (folder / "3.png").write_bytes(b"cut")
    arguments = ["render", folder, *TINY_METAISP, f"weights={weights[0]}", "data=zrr", "memory=0"]
    done = ispbench(*arguments, "out=out", "device=cpu", cwd=tmp_path)
    assert done.returncode == 1
    assert "1 of 3 photos failed, 2 are saved" in done.stderr
    assert "3.png is not a whole image file" in done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["1-metaisp.png", "2-metaisp.png"]
    assert read(tmp_path / "out" / "1-metaisp.png").shape == (96, 128, 3)


def test_whatever_is_wrong_with_one_photo_the_others_are_rendered(photo, tmp_path, monkeypatch, capsys):
    (tmp_path / "a.npy").write_bytes(b"PK\x03\x04 a zip file under a wrong name")
    (tmp_path / "b.npy").write_bytes(b"\x93NUMPY\x01\x00")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"(?s)2 of 3 photos failed, 1 are saved\..*a\.npy.*b\.npy"):
        dispatch(["render", "a.npy", "b.npy", "photo.dng", "model=classical", "device=cpu", "data=zrr"])
    assert read(tmp_path / "outputs" / "render" / "photo-classical.png").shape == (120, 160, 3)


def test_several_models_and_a_contact_sheet(weights, tmp_path, rng, monkeypatch, capsys):
    """One of the two runs was trained on white-balanced RAW; one photo has black above white."""
    path, model = weights
    state = torch.load(path)
    options = {"width": 8, "basis_dim": 8, "num_bases": 2}
    about = {"model": "metaisp", "options": options, "levels": [4096, 65535], "balanced": True}
    torch.save(state | {"ispbench": about}, tmp_path / "balanced.ckpt")
    linear = scene(rng, 120, 160)
    jpeg = np.full((60, 80, 3), 90, np.uint8)
    (tmp_path / "photos").mkdir()
    photo = photograph(tmp_path / "photos" / "tall.dng", linear, orientation=6, jpeg=jpeg)
    photograph(tmp_path / "photos" / "bad.dng", linear, black=60, white=40)
    (tmp_path / "photos" / "gone.dng").symlink_to("nowhere.dng")
    os.mkfifo(tmp_path / "photos" / "pipe.dng")
    monkeypatch.chdir(tmp_path)
    arguments = ["photos", "weights=balanced.ckpt", *TINY_METAISP, f"weights={path}", "model=classical"]
    with pytest.raises(UserError, match=r"(?s)2 of 3 photos failed, 1 are saved.*bad\.dng.*gone\.dng"):
        dispatch(["render", *arguments, "out=out", "device=cpu", "format=tiff", "bits=16"])
    names = ["metaisp-1.tiff", "metaisp-2.tiff", "classical.tiff", "sheet.jpg"]
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == sorted(f"tall-{name}" for name in names)
    camera = read_camera(photo)
    raw = camera.canonical()
    balanced = np.minimum(raw * np.array([2, 1, 1, 1.6], np.float32)[:, None, None], 1)
    for number, values in ((1, balanced), (2, raw)):
        with torch.no_grad():
            expected = model(torch.from_numpy(values)[None])[0].permute(1, 2, 0).numpy() * 65535
        image = cv2.imread(f"out/tall-metaisp-{number}.tiff", cv2.IMREAD_UNCHANGED)[..., ::-1]
        assert image.dtype == np.uint16
        np.testing.assert_allclose(image, np.rot90(expected, -1), atol=60)
    sheet = Image.open("out/tall-sheet.jpg")
    assert sheet.size == (3 * (120 + 12) + 12, 2 * (160 + 12 + 26) + 12)
    libraw = np.rot90(libraw_rendering(camera), -1)
    np.testing.assert_allclose(np.asarray(sheet)[236:396, 12:132], libraw, atol=20)
    assert np.asarray(sheet)[260:300, 150:200].mean() == pytest.approx(90, abs=3)
    said = capsys.readouterr().out
    assert "metaisp-1: balanced.ckpt" in said
    assert "white balance R x2.00 B x1.60 (from the file) -> out/tall-metaisp-1.tiff" in said


def test_levels_are_those_of_the_training(tmp_path, rng, monkeypatch):
    """A camera file brings its own levels; a network that keeps the black level sees those that it knows."""
    torch.manual_seed(0)
    options = {"width": 4, "encoder_blocks": [1], "decoder_blocks": [1]}
    model = build_model("nafnet_w32", [f"model.{key}={value}" for key, value in options.items()]).eval()
    content = {"state_dict": {f"model.net.{name}": value for name, value in model.net.state_dict().items()}}
    about = {"model": "nafnet_w32", "options": options, "levels": [1000.0, 4000.0], "balanced": False}
    torch.save(content | {"ispbench": about}, tmp_path / "best.ckpt")
    photo = photograph(tmp_path / "photo.dng", scene(rng, 64, 96))
    monkeypatch.chdir(tmp_path)
    dispatch(["render", "photo.dng", "weights=best.ckpt", "out=out", "device=cpu"])
    with torch.no_grad():
        raw = torch.from_numpy(read_camera(photo).canonical())[None, [3, 1, 0, 2]]
        expected = (model.net(raw * 0.75 + 0.25).clamp(0, 1)[0] * 255).round().permute(1, 2, 0).numpy()
    np.testing.assert_allclose(read(tmp_path / "out" / "photo-nafnet_w32.png"), expected, atol=1)


def test_nothing_is_overwritten_unasked(photo, tmp_path):
    arguments = [str(photo), "model=classical", f"out={tmp_path}/out", "device=cpu"]
    result = tmp_path / "out" / "photo-classical.png"
    result.parent.mkdir()
    result.write_text("precious")
    with pytest.raises(
        UserError, match=r"1 of 1 results exist already, first .*photo-classical\.png; set overwrite=true"
    ):
        dispatch(["render", *arguments])
    assert result.read_text() == "precious"
    dispatch(["render", *arguments, "overwrite=true"])
    assert read(result).shape == (120, 160, 3)


def test_the_photo_stands_upright_and_its_phase_is_normalised(tmp_path, rng):
    photo = photograph(tmp_path / "tall.dng", scene(rng, 120, 160), GRBG, orientation=6)
    dispatch(["render", str(photo), "model=classical", f"out={tmp_path}/out", "device=cpu"])
    image = read(tmp_path / "out" / "tall-classical.png")
    assert image.shape == (158, 120, 3)
    camera = read_camera(photo)
    lying = build_model("classical").eval()(torch.from_numpy(camera.canonical())[None])[0].permute(1, 2, 0)
    np.testing.assert_allclose(image, np.rot90(lying.mul(255).numpy(), -1), atol=1)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["photo.dng", "model=metaisp"], "metaisp is not trained; give its weights: weights=photos-v1/known-light"),
        (["photo.dng", "model=metaips"], "Did you mean 'metaisp'"),
        (["model=classical"], "Say FILE: a camera file"),
        (["none.dng", "model=classical"], "There is no file none.dng"),
        (["photo.dng", "model=classical", "memory=all"], "memory is a number of at least 0, not 'all'"),
        (["photo.dng", "model=classical", "format=gif"], "format is one of png, tiff, jpg, not 'gif'"),
        (["photo.dng", "model=classical", "format=jpg", "bits=16"], "A JPEG has 8 bits"),
        (["photo.dng", "model=classical", "model=metaisp"], "metaisp is not trained; give its weights"),
        (["photo.dng", "model=classical", "data.black_level=900", "data.white_level=90"], "must lie below"),
        (["photo.dng", "twin/photo.dng", "model=classical"], "would both become"),
        (["photo.dng", "model=classical", "modle.gamma=2"], "Did you mean 'model'?"),
        (["photo.dng", "model=metaisp", "weights=none.ckpt"], "no checkpoint file none.ckpt"),
    ],
)
def test_mistakes_are_one_sentence(photo, tmp_path, arguments, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "twin").mkdir()
    (tmp_path / "twin" / "photo.dng").write_bytes(photo.read_bytes())
    with pytest.raises(UserError, match=re.escape(message)):
        dispatch(["render", *arguments])
    assert not (tmp_path / "outputs").exists()


@pytest.mark.shared
def test_a_real_file_in_full_size(shared, tmp_path):
    name = "Kodak_DC50_DC50IMG_DC0010S.KDC"
    dispatch(["render", str(shared / "data" / "raw" / name), "model=classical", "device=cpu", f"out={tmp_path}"])
    (result,) = tmp_path.iterdir()
    assert read(result).shape == (*SHARED_FILES[name][1], 3)


def test_weights_without_a_name_tell_the_model(weights, tmp_path, rng, monkeypatch):
    path, model = weights
    mosaic = rng.integers(64, 1000, (64, 96)).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "full.png"), mosaic)
    monkeypatch.chdir(tmp_path)
    levels = ["data.black_level=64", "data.white_level=1023"]
    dispatch(["render", "full.png", f"weights={path}", "out=here", "device=cpu", *levels])
    with torch.inference_mode():
        raw = torch.from_numpy((pack(mosaic).astype(np.float32) - 64) / (1023 - 64))[None]
        expected = (model(raw)[0] * 255).round().permute(1, 2, 0).numpy()
    np.testing.assert_allclose(read(tmp_path / "here" / "full-metaisp.png"), expected, atol=1)


def test_a_network_that_keeps_the_black_level_is_told_it(tmp_path, rng, monkeypatch):
    torch.manual_seed(0)
    model = build_model("nafnet_w32", ["model.width=4", "model.encoder_blocks=[1]", "model.decoder_blocks=[1]"]).eval()
    torch.save(model.net.state_dict(), tmp_path / "x.pth")
    mosaic = rng.integers(256, 4096, (64, 96)).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "full.png"), mosaic)
    monkeypatch.chdir(tmp_path)
    levels = ["data.black_level=256", "data.white_level=4095"]
    dispatch(["render", "full.png", "weights=x.pth", "out=here", "device=cpu", *levels])
    with torch.inference_mode():
        dn = torch.from_numpy(pack(mosaic).astype(np.float32))[None, [3, 1, 0, 2]]
        expected = (model.net(dn / 4095).clamp(0, 1)[0] * 255).round().permute(1, 2, 0).numpy()
    np.testing.assert_allclose(read(tmp_path / "here" / "full-nafnet_w32.png"), expected, atol=1)


@pytest.mark.shared
def test_released_weights_render_real_raw(shared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    released = shared / "weights" / "official" / "mobileie" / "zrr_best_slim.pkl"
    photo = shared / "data" / "mini_rhid" / "raw" / "4654_4.png"
    dispatch(["render", str(photo), f"weights={released}", "data=rhid", "out=here", "device=cpu"])
    image = read(tmp_path / "here" / "4654_4-mobileie.png").astype(float)
    target = read(shared / "data" / "mini_rhid" / "gt" / "4654_4.png").astype(float)
    assert np.corrcoef(image.mean(2).ravel(), target.mean(2).ravel())[0, 1] > 0.5  # the scene, in other colors
