import hashlib
import http.server
import threading

import cv2
import numpy as np
import pytest
from hydra.utils import instantiate
from PIL import Image

from ispbench.config import compose
from ispbench.data import photo_sets
from ispbench.data.datasets.mini import read_photo
from ispbench.data.photo_sets import fetch, load_set
from ispbench.data.photographs import read_photograph, shrink
from ispbench.data.sealed import read_json
from ispbench.errors import UserError, mistake_in

CROP = ["data.crop=32", "data.batch_size=2", "data.num_train=8"]


def photos(root, cache, *overrides):
    data = instantiate(compose(["data=photos", f"data.root={root}", f"data.cache={cache}", *CROP, *overrides]).data)
    data.prepare_data()
    return data


@pytest.fixture
def folder(tmp_path):
    """Twelve photographs: crops of one that share no pixel."""
    root = tmp_path / "photographs"
    (root / "more").mkdir(parents=True)
    motorcycle = read_photo("skimage:motorcycle_left.png")
    for number in range(12):
        top, left = number // 4 * 128, number % 4 * 160
        place = root / ("more" if number % 2 else ".") / f"{number}.{'jpg' if number % 3 else 'png'}"
        Image.fromarray(motorcycle[top : top + 120, left : left + 150]).save(place)
    return root


def sentence(error):
    """The message that the user sees: one sentence without a traceback."""
    mistake = mistake_in(error)
    assert isinstance(mistake, UserError)
    assert "\n" not in str(mistake)
    return str(mistake)


def test_a_folder_is_split_by_the_hashes_of_its_photographs(folder, tmp_path):
    data = photos(folder, tmp_path / "cache")
    assert data.protocol == "photos-one-camera/original-gt"
    split_of = {}
    for path in folder.rglob("*.*g"):
        share = int(hashlib.sha256(path.read_bytes()).hexdigest()[:8], 16) / 2**32
        split_of[path.stem] = "test" if share < 0.3 else "val" if share < 0.45 else "train"
    for split in ("train", "val", "test"):
        names = {name.split("@")[0] for name in data.source(split).names}
        assert names == {name for name, found in split_of.items() if found == split}
    assert data.source("test").read(0)[0].shape == (120, 150)


def test_a_list_splits_a_folder(folder, tmp_path):
    data = photos(folder, tmp_path / "cache", "data.splits={val: [1.jpg, 3.png], test: [0.png]}")
    assert {name.split("@")[0] for name in data.source("val").names} == {"1", "3"}
    assert {name.split("@")[0] for name in data.source("test").names} == {"0"}
    with pytest.raises(Exception, match=r"names 99\.jpg, but there is no such file") as caught:
        photos(folder, tmp_path / "cache", "data.splits={val: [99.jpg], test: [0.png]}")
    sentence(caught.value)
    with pytest.raises(Exception, match="in both val and test"):
        photos(folder, tmp_path / "cache", "data.splits={val: [0.png], test: [0.png]}")


def test_photographs_are_decoded_once_and_shrunk_by_area(folder, tmp_path, monkeypatch):
    first = photos(folder, tmp_path / "cache", "data.downscale=2")
    monkeypatch.setattr("ispbench.data.photographs.read_photograph", lambda path: pytest.fail(f"{path} decoded again"))
    again = photos(folder, tmp_path / "cache", "data.downscale=2")
    assert again.fingerprint() == first.fingerprint()
    name = again.source("test").names[0].split("@")[0]
    original = cv2.imread(str(next(folder.rglob(f"{name}.*"))))[..., ::-1]
    blocks = original[:120, :150].reshape(60, 2, 75, 2, 3).mean(axis=(1, 3))[:, :74]
    target = again.source("test").read(0)[1]
    assert target.shape == (60, 74, 3)
    np.testing.assert_allclose(target, blocks, atol=2)  # JPEG decoders differ by a level


def test_megapixels_bound_the_size():
    assert shrink(np.zeros((3000, 4000, 3), np.uint8), megapixels=0.4).shape == (548, 730, 3)
    assert shrink(np.zeros((301, 401, 3), np.uint8), megapixels=0.4).shape == (300, 400, 3)
    assert shrink(np.zeros((400, 400, 3), np.uint8), downscale=4, megapixels=0.4).shape == (100, 100, 3)


def test_exif_orientation_is_applied(tmp_path):
    photo = np.zeros((40, 60, 3), np.uint8)
    photo[:20] = 200
    exif = Image.Exif()
    exif[274] = 6  # the camera was held upright: rotate clockwise by a quarter
    Image.fromarray(photo).save(tmp_path / "a.jpg", exif=exif, quality=95)
    upright = read_photograph(tmp_path / "a.jpg")
    assert upright.shape == (60, 40, 3)
    assert upright[:, 30:].mean() > 190
    assert upright[:, :10].mean() < 10


def spoil(folder, kind):
    path = folder / "0.png"
    image = Image.open(path)
    jpeg = folder / "2.jpg"
    match kind:
        case "corrupt":
            jpeg.write_bytes(jpeg.read_bytes()[:500])
        case "text":
            jpeg.write_text("no image")
        case "gray":
            image.convert("L").save(path)
        case "CMYK":
            image.convert("CMYK").save(jpeg)
        case "16-bit":
            cv2.imwrite(str(path), np.asarray(image).astype(np.uint16) * 256)
        case "16-bit TIFF":
            cv2.imwrite(str(folder / "a.tif"), np.asarray(image).astype(np.uint16) * 256)
        case "transparent":
            image.convert("RGBA").save(path)
        case "tiny":
            image.resize((20, 20)).save(path)
        case "twice":
            (folder / "copy.png").write_bytes(path.read_bytes())
        case "none":
            for file in folder.rglob("*.*g"):
                file.unlink()


@pytest.mark.parametrize(
    "kind, message",
    [
        ("corrupt", "2.jpg is not a whole image file"),
        ("text", "2.jpg is no JPEG, PNG or TIFF image"),
        ("gray", "0.png is gray"),
        ("CMYK", "2.jpg is CMYK; convert it to sRGB"),
        ("16-bit", "0.png stores 16 bits"),
        ("16-bit TIFF", "a.tif (stores 16 bits|is no JPEG, PNG or TIFF)"),
        ("transparent", "0.png has transparency"),
        ("tiny", "0 is 20x20 after shrinking, below 32 pixels"),
        ("twice", "are the same photograph"),
        ("none", "There are no photographs"),
    ],
)
def test_unsuitable_photographs_are_named(folder, tmp_path, kind, message):
    spoil(folder, kind)
    with pytest.raises(Exception, match=message) as caught:
        photos(folder, tmp_path / "cache", "data.splits={val: [1.jpg], test: [3.png]}" if kind != "none" else "seed=0")
    sentence(caught.value)


def test_a_missing_folder_and_an_unwritable_cache_are_named(folder, tmp_path):
    with pytest.raises(Exception, match="There is no folder"):
        photos(tmp_path / "nowhere", tmp_path / "cache")
    (tmp_path / "file").write_text("")
    with pytest.raises(Exception, match="ISPBENCH_CACHE") as caught:
        photos(folder, tmp_path / "file")
    sentence(caught.value)
    with pytest.raises(Exception, match="ispbench data fetch photos-v1") as caught:
        photos("null", tmp_path / "cache")
    sentence(caught.value)


def test_too_few_photographs_for_three_splits(folder, tmp_path):
    for path in list(folder.rglob("*.*g"))[2:]:
        path.unlink()
    with pytest.raises(Exception, match="split has no photograph among 2"):
        photos(folder, tmp_path / "cache")


def test_the_set_is_found_wherever_its_files_are(shared, tmp_path):
    roots = f"[{shared}/data/kodak,{shared}/data/photos]"
    data = photos(
        roots, tmp_path / "cache", "data.track=many-cameras", "data.megapixels=0.01", "data.train_megapixels=0.01"
    )
    assert data.protocol == "photos-v1-many-cameras/original-gt"
    splits = {split: {name.split("@")[0] for name in data.source(split).names} for split in ("val", "test")}
    assert {split: len(names) for split, names in splits.items()} == {"val": 6, "test": 12}
    assert len(data.source("test").names) == 12 * 9
    assert not any("spices" in path for path in map(str, data._files["train"]))
    with pytest.raises(
        Exception, match=r"18 of 42 photographs of photos-v1 are missing, first beacon-street-sunset\.jpg"
    ):
        photos(f"{shared}/data/kodak", tmp_path / "cache", "data.photo_set=photos-v1")


def test_the_splits_of_the_set_follow_their_rule():
    listed = load_set("photos-v1")
    assert len(listed) == 42
    for source in ("github", "r0k.us"):
        ordered = sorted((file for file in listed if source in file.url), key=lambda file: file.sha256)
        splits = [file.split for file in ordered]
        assert splits == ["test"] * 6 + ["val"] * 3 + ["train"] * (len(ordered) - 9)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A set of two files, served from this machine."""
    served = tmp_path / "served"
    served.mkdir()
    contents = {"a.png": b"first file", "b.png": b"second file"}
    for name, content in contents.items():
        (served / name).write_bytes(content)

    class Handler(http.server.SimpleHTTPRequestHandler):
        requested = []

        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(served))

        def do_GET(self):
            self.requested.append(self.path)
            super().do_GET()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    listed = [
        photo_sets.SetFile(name, "train", len(content), hashlib.sha256(content).hexdigest(), f"{url}/{name}")
        for name, content in contents.items()
    ]
    monkeypatch.setattr(photo_sets, "load_set", lambda name: listed)
    yield served, Handler.requested
    server.shutdown()


def test_fetch_downloads_what_is_missing(site, tmp_path):
    served, requested = site
    folder = tmp_path / "set"
    (served / "b.png").rename(served / "gone")
    with pytest.raises(UserError, match=r"b.png cannot be downloaded \(status 404\)"):
        fetch("set", folder)
    assert (folder / "a.png").read_bytes() == b"first file"
    (served / "gone").rename(served / "b.png")
    requested.clear()
    assert fetch("set", folder) == 1
    assert requested == ["/b.png"]
    assert fetch("set", folder) == 0
    (folder / "a.png").write_bytes(b"spoiled!!!")
    fetch("set", folder)
    assert (folder / "a.png").read_bytes() == b"first file"


def test_a_file_that_was_exchanged_at_its_source_is_refused(site, tmp_path):
    served, _ = site
    (served / "a.png").write_bytes(b"another")
    with pytest.raises(UserError, match="SHA-256 differs"):
        fetch("set", tmp_path / "set")
    assert not (tmp_path / "set" / "a.png").exists()


def test_without_a_network_the_sentence_says_what_to_do(tmp_path, monkeypatch):
    file = photo_sets.SetFile("a.png", "train", 1, "0" * 64, "http://127.0.0.1:9/a.png")
    monkeypatch.setattr(photo_sets, "load_set", lambda name: [file])
    with pytest.raises(UserError, match=r"no connection.*data\.root=FOLDER"):
        fetch("set", tmp_path / "set")


def test_an_unknown_set_is_named(tmp_path):
    with pytest.raises(UserError, match="no set of photographs 'other'; choose one of photos-v1"):
        fetch("other", tmp_path)


def test_hashes_are_cached_until_a_file_changes(folder, tmp_path):
    paths = photo_sets.find_files([folder])
    first = photo_sets.hash_files(paths, str(tmp_path))
    assert len(read_json(tmp_path / "hashes.json")) == 12
    paths[0].write_bytes(b"changed")
    second = photo_sets.hash_files(paths, str(tmp_path))
    assert second[paths[0]] == hashlib.sha256(b"changed").hexdigest()
    assert {path: second[path] for path in paths[1:]} == {path: first[path] for path in paths[1:]}
