"""Files are read back by other programs than wrote them."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from ispbench.rendering.exif import Exif, read_exif
from ispbench.rendering.saving import save
from tests.raw.test_camera import photograph, scene

EXPOSURE, EXPOSURE_TIME, ISO, DATE = 0x8769, 0x829A, 0x8827, 0x9003
GPS, LATITUDE = 0x8825, 2


@pytest.fixture
def exif():
    source = Image.Exif()
    source.update({0x10F: "Acme\0", 0x112: 6, 0x100: 6000, 0x13B: "  ", 0x8298: "Ann Author"})
    source.get_ifd(EXPOSURE).update({EXPOSURE_TIME: 0.01, ISO: 100, DATE: "2026:01:02 03:04:05", 0x927C: b"notes"})
    source.get_ifd(GPS).update({1: "N", LATITUDE: (47.0, 22.0, 30.0)})
    known = Exif()
    known.add(source)
    return known.of_rendering("ispbench, test", 20, 30)


@pytest.mark.parametrize("suffix, bits", [("png", 8), ("png", 16), ("tiff", 8), ("tiff", 16), ("jpg", 8)])
def test_pixels_profile_and_exif_are_kept(tmp_path, rng, exif, suffix, bits):
    image = cv2.resize(rng.random((3, 4, 3)), (130, 90)) * (2**bits - 1)
    image = image.astype(np.uint8 if bits == 8 else np.uint16)
    path = tmp_path / f"photo.{suffix}"
    save(path, image, exif)
    read = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., ::-1]
    assert read.dtype == image.dtype
    np.testing.assert_allclose(read.astype(float), image, atol=4 if suffix == "jpg" else 0)
    with Image.open(path) as file:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(file.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)
        kept = file.getexif()
        photo, place = kept.get_ifd(EXPOSURE), kept.get_ifd(GPS)
    assert (kept[0x10F], kept[0x112], kept[0x8298], kept[0x131]) == ("Acme", 1, "Ann Author", "ispbench, test")
    assert 0x13B not in kept
    assert (photo[EXPOSURE_TIME], photo[ISO], photo[DATE]) == (0.01, 100, "2026:01:02 03:04:05")
    assert (photo[0xA002], photo[0xA003], photo[0xA001]) == (30, 20, 1)
    assert 0x927C not in photo
    assert place[LATITUDE] == (47.0, 22.0, 30.0)


def test_a_dng_says_who_made_it(tmp_path, rng):
    exif = read_exif(photograph(tmp_path / "a.dng", scene(rng), orientation=6))
    assert exif.main == {0x10F: "Acme", 0x110: "Acme One"}


def test_a_damaged_directory_costs_no_photo(tmp_path, rng):
    path = photograph(tmp_path / "a.dng", scene(rng))
    content = bytearray(path.read_bytes())
    known = Exif()
    source = Image.Exif()
    source[0x10F] = "Acme"
    source.get_ifd(EXPOSURE).update({EXPOSURE_TIME: object(), ISO: 100})
    known.add(source)
    assert known.photo == {ISO: 100}
    place = content.find(b"Acme One")
    content[place : place + 8] = b"\xff" * 8
    path.write_bytes(content)
    assert read_exif(path).of_rendering("x", 2, 2).tobytes()


@pytest.mark.shared
@pytest.mark.parametrize(
    "name, make, model, iso, aperture",
    [
        ("Canon_PowerShot_G2_CRW_0304.CRW", "Canon", "PowerShot G2", 50, 4.0),
        ("Kodak_DC120_DC120IMG_P003908.KDC", "Eastman Kodak Company", "Kodak DC120 ZOOM Digital Camera", 160, 4.0),
        ("imagemeta_CRW.CRW", "Canon", "EOS D30", 100, 5.6),
    ],
)
def test_what_real_files_say(shared, name, make, model, iso, aperture):
    exif = read_exif(shared / "data" / "raw" / name)
    assert (exif.main[0x10F], exif.main[0x110]) == (make, model)
    assert exif.photo[ISO] == iso
    assert float(exif.photo[0x829D]) == pytest.approx(aperture, abs=0.1)
