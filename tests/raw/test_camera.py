import cv2
import numpy as np
import pytest

from ispbench.errors import UserError
from ispbench.raw.camera_file import SUFFIXES, read_camera
from ispbench.raw.camera_targets import camera_jpeg, libraw_rendering
from tests.raw.dng import BGGR, GBRG, GRBG, MATRIX, NEUTRAL, RGGB, XTRANS, write_dng

PHASES = {"RGGB": RGGB, "GRBG": GRBG, "GBRG": GBRG, "BGGR": BGGR}
SHARED_FILES = {
    "Canon_PowerShot_G2_CRW_0304.CRW": ("RGGB", (1720, 2312), [32] * 4, 1023),
    "Canon_PowerShot_S40_CRW_0104.CRW": ("RGGB", (1720, 2312), [32] * 4, 1023),
    "Canon_PowerShot_S40_CRW_0112.CRW": ("RGGB", (1720, 2312), [32] * 4, 1023),
    "Kodak_DC120_DC120IMG_P003908.KDC": ("GRBG", (976, 846), [0] * 4, 255),
    "Kodak_DC50_DC50IMG_DC0008L.KDC": ("GRBG", (512, 766), [0] * 4, 16383),
    "Kodak_DC50_DC50IMG_DC0010S.KDC": ("GRBG", (512, 766), [0] * 4, 16383),
    "imagemeta_CRW.CRW": ("RGGB", (1448, 2176), [127, 128, 128, 128], 4095),
}


def srgb(linear):
    """IEC 61966-2-1, linear [0, 1] to 8 bits."""
    linear = np.clip(linear, 0, 1)
    curve = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
    return 255 * curve


def mosaic_of(camera_rgb, cfa):
    """Samples camera RGB, shape (H, W, 3), with a 2x2 CFA."""
    mosaic = np.empty(camera_rgb.shape[:2], camera_rgb.dtype)
    for cell, color in enumerate(cfa):
        mosaic[cell // 2 :: 2, cell % 2 :: 2] = camera_rgb[cell // 2 :: 2, cell % 2 :: 2, color]
    return mosaic


def scene(rng, height=120, width=160):
    """A smooth gray scene with structure in both directions, linear in [0, 1]."""
    noise = cv2.GaussianBlur(rng.standard_normal((height, width)), (0, 0), 4)
    return np.clip(0.4 + 0.15 * noise / noise.std(), 0.02, 0.9)


def photograph(path, linear, cfa=RGGB, black=60.0, white=4095, **options):
    """A DNG of a gray scene as the test sensor of `NEUTRAL` sees it."""
    camera = linear[..., None] * np.array(NEUTRAL) * (white - black) + black
    mosaic = np.rint(mosaic_of(camera, cfa)).astype(np.uint16)
    return write_dng(path, mosaic, cfa, (black,) * 4, white, **options)


@pytest.mark.parametrize("phase", PHASES)
def test_any_phase_becomes_rggb_with_its_own_levels(tmp_path, phase):
    cfa = PHASES[phase]
    colors = np.broadcast_to([100, 200, 300], (24, 32, 3))
    mosaic = mosaic_of(colors, cfa).astype(np.uint16)
    black = (10, 20, 30, 40)
    camera = read_camera(write_dng(tmp_path / "a.dng", mosaic, cfa, black, 1000))
    top, left = camera.origin
    assert camera.phase == phase
    assert camera.mosaic.shape == (24 - 2 * top, 32 - 2 * left)
    np.testing.assert_array_equal(camera.mosaic[:2, :2], [[100, 200], [200, 300]])
    cell = np.reshape(black, (2, 2))
    expected = [cell[(row + top) % 2, (column + left) % 2] for row in (0, 1) for column in (0, 1)]
    np.testing.assert_array_equal(camera.black_levels, expected)
    values = (np.array([100, 200, 200, 300]) - expected) / (1000 - np.array(expected))
    np.testing.assert_allclose(camera.canonical()[:, 3, 4], values, rtol=1e-5)


def test_canonical_and_rescaled_levels(tmp_path):
    mosaic = np.full((24, 24), 64, np.uint16)
    mosaic[0, 0], mosaic[0, 2], mosaic[0, 4] = 1023, 4000, 44
    camera = read_camera(write_dng(tmp_path / "a.dng", mosaic, black=(64,) * 4))
    raw, dn = camera.canonical(), camera.rescaled(4096, 61440)
    np.testing.assert_allclose(raw[0, 0, :4], [1, 3936 / 959, -20 / 959, 0], atol=1e-6)
    assert dn.dtype == np.uint16
    np.testing.assert_array_equal(dn[0, :8:2], [61440, 65535, round(4096 - 20 / 959 * 57344), 4096])


def test_white_balance_and_matrix_are_metadata(tmp_path, rng):
    camera = read_camera(photograph(tmp_path / "a.dng", scene(rng)))
    np.testing.assert_allclose(camera.white_balance, 1 / np.array(NEUTRAL), rtol=1e-4)
    xyz_of_srgb = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    whitened = MATRIX @ xyz_of_srgb / (MATRIX @ xyz_of_srgb).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(camera.matrix, np.linalg.inv(whitened), atol=2e-3)
    assert camera.assumed == ()


def test_rendering_is_the_srgb_of_the_scene(tmp_path):
    for level in (0.05, 0.18, 0.5, 0.9):
        camera = read_camera(photograph(tmp_path / "a.dng", np.full((32, 32), level)))
        np.testing.assert_allclose(libraw_rendering(camera), srgb(level), atol=1.5)


@pytest.mark.parametrize("phase", PHASES)
def test_rendering_is_aligned_with_the_cropped_mosaic(tmp_path, rng, phase):
    linear = scene(rng)
    camera = read_camera(photograph(tmp_path / "a.dng", linear, PHASES[phase]))
    target = libraw_rendering(camera)
    assert target.shape == (*camera.mosaic.shape, 3)
    (top, left), (height, width) = camera.origin, camera.mosaic.shape
    expected = srgb(linear[top : top + height, left : left + width])
    error = np.abs(target - expected[..., None])[4:-4, 4:-4]
    assert error.mean() < 1
    assert np.abs(target[4:-4, 5:-3] - expected[4:-4, 4:-4, None]).mean() > 3 * error.mean()


def test_missing_white_balance_is_gray_world_and_said(tmp_path, rng):
    camera = read_camera(photograph(tmp_path / "a.dng", scene(rng), neutral=None))
    np.testing.assert_allclose(camera.white_balance, 1 / np.array(NEUTRAL), rtol=0.02)
    assert len(camera.assumed) == 1
    assert camera.assumed[0].startswith("no white balance, gray world assumed (R x2.0")


def test_missing_matrix_is_said(tmp_path, rng):
    camera = read_camera(photograph(tmp_path / "a.dng", scene(rng), matrix=None))
    assert camera.matrix is None
    assert camera.assumed == ("no color matrix, camera RGB taken for sRGB",)


@pytest.mark.parametrize("orientation, turns", [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_upright(tmp_path, rng, orientation, turns):
    camera = read_camera(photograph(tmp_path / "a.dng", scene(rng), orientation=orientation))
    image = libraw_rendering(camera)
    assert image.shape == (120, 160, 3)
    np.testing.assert_array_equal(camera.upright(image), np.rot90(image, turns))


@pytest.mark.parametrize(
    "mosaic, cfa, message",
    [
        ((36, 36), XTRANS, "X-Trans"),
        ((36, 36, 3), RGGB, "Foveon"),
        ((36, 36), [0, 1, 2, 1], "CFA"),
    ],
)
def test_other_sensors_are_refused(tmp_path, rng, mosaic, cfa, message):
    path = write_dng(tmp_path / "odd.dng", rng.integers(64, 1023, mosaic).astype(np.uint16), cfa)
    with pytest.raises(UserError, match=rf"odd\.dng .*{message}.*[Rr]emove"):
        read_camera(path)


@pytest.mark.parametrize("keep", [0, 100, 2000])
def test_broken_files_are_named(tmp_path, rng, keep):
    path = photograph(tmp_path / "broken.dng", scene(rng))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"broken\.dng (is no camera file|cannot be decoded)"):
        read_camera(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no camera file .*none\.dng"):
        read_camera(tmp_path / "none.dng")


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("offset", [(0, 0), (2, 4), (3, 1)])
def test_camera_jpeg_is_aligned(tmp_path, rng, phase, offset):
    linear = scene(rng)
    (top, left), (height, width) = offset, (120 - 6, 160 - 8) if any(offset) else (120, 160)
    developed = 255 * linear ** (1 / 2.2) * 0.9  # another tone curve than LibRaw's
    jpeg = np.rint(developed).astype(np.uint8)[top : top + height, left : left + width, None].repeat(3, axis=2)
    camera = read_camera(photograph(tmp_path / "a.dng", linear, PHASES[phase], jpeg=jpeg))
    part, target = camera_jpeg(camera)
    rows, columns = part.mosaic.shape
    assert target.shape == (rows, columns, 3)
    assert rows >= height - 3
    assert columns >= width - 3
    expected = developed[part.origin[0] : part.origin[0] + rows, part.origin[1] : part.origin[1] + columns]
    assert np.abs(target - expected[..., None]).mean() < 1.5
    red = (part.mosaic[0::2, 0::2] - 60) / 4035 / NEUTRAL[0]
    np.testing.assert_allclose(
        red, linear[part.origin[0] :: 2, part.origin[1] :: 2][: rows // 2, : columns // 2], atol=1e-3
    )


def test_camera_jpegs_that_do_not_fit_are_refused(tmp_path, rng):
    linear = scene(rng)
    small = np.zeros((60, 80, 3), np.uint8)
    with pytest.raises(UserError, match=r"80x60 but its RAW is 160x120.*data\.target=libraw"):
        camera_jpeg(read_camera(photograph(tmp_path / "a.dng", linear, jpeg=small)))
    for other in (rng.integers(0, 255, (120, 160, 3)), np.full((120, 160, 3), 90)):
        path = photograph(tmp_path / "b.dng", linear, jpeg=other.astype(np.uint8))
        with pytest.raises(UserError, match="cannot be aligned"):
            camera_jpeg(read_camera(path))
    with pytest.raises(UserError, match="holds no camera JPEG"):
        camera_jpeg(read_camera(photograph(tmp_path / "c.dng", linear)))


def classical(camera):
    """The pipeline by hand, at half size: levels, white balance, color matrix, sRGB curve."""
    red, green_red, green_blue, blue = camera.canonical()
    rgb = np.stack([red, (green_red + green_blue) / 2, blue], axis=-1)
    rgb = np.clip(rgb * camera.white_balance / camera.white_balance.min(), 0, 1)
    return srgb(rgb if camera.matrix is None else rgb @ camera.matrix.T)


@pytest.mark.shared
@pytest.mark.parametrize("name", SHARED_FILES)
def test_real_files_render_as_their_metadata_says(shared, name):
    phase, shape, black, white = SHARED_FILES[name]
    camera = read_camera(shared / "data" / "raw" / name)
    assert (camera.phase, camera.mosaic.shape) == (phase, shape)
    np.testing.assert_array_equal(camera.black_levels, black)
    np.testing.assert_array_equal(camera.white_levels, white)
    target = libraw_rendering(camera)
    assert target.shape == (*shape, 3)
    half = cv2.resize(target, (shape[1] // 2, shape[0] // 2), interpolation=cv2.INTER_AREA)
    ours = classical(camera)
    assert 20 * np.log10(255 / np.sqrt(((ours - half) ** 2).mean())) > 27
    assert np.abs((ours - half).mean(axis=(0, 1))).max() < 2
    # A shift of two mosaic pixels in either direction fits less well.
    there = np.abs(ours[2:-2, 2:-2] - half[2:-2, 2:-2]).mean()
    for row, column in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        moved = half[2 + row : half.shape[0] - 2 + row, 2 + column : half.shape[1] - 2 + column]
        assert np.abs(ours[2:-2, 2:-2] - moved).mean() > there


@pytest.mark.shared
def test_what_real_files_leave_open_is_said(shared):
    said = {name: "; ".join(read_camera(shared / "data" / "raw" / name).assumed) for name in SHARED_FILES}
    for name, note in said.items():
        assert ("no white balance, gray world assumed" in note) == (not name.startswith("Canon"))
        assert ("no color matrix" in note) == name.startswith("Kodak")
    assert "pixels 1.53 times as wide as high" in said["Kodak_DC120_DC120IMG_P003908.KDC"]


def test_suffixes_are_those_of_files():
    assert {".dng", ".nef", ".cr2", ".cr3", ".arw", ".raf", ".crw", ".kdc"} <= SUFFIXES
    assert not {".png", ".jpg", ".tif", ".npy"} & SUFFIXES
