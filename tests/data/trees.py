"""Small trees in the layouts of real datasets: photographs through a simulated sensor."""

import cv2
import numpy as np

from ispbench.data.datasets.mini import read_photo
from ispbench.raw.captures import Capture
from ispbench.raw.simulate import expose, unprocess

SIZE = 64


def pairs(count, rng, size=SIZE, black=63, white=1020, exposure=0.9):
    """Mosaics and photographs of different scenes."""
    photos = [read_photo(f"skimage:{name}") for name in ("coffee.png", "astronaut.png", "chelsea.png")]
    for number in range(count):
        photo = photos[number % 3]
        factor = 2 * size / 300
        photo = cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        top, left = (int(rng.integers(side - size + 1)) for side in photo.shape[:2])
        target = np.ascontiguousarray(photo[top : top + size, left : left + size])
        capture = Capture("imx378", 4500.0, exposure, 200.0)
        yield expose(unprocess(target, capture), capture, rng, black, white), target


def write(folder, name, mosaic, target, raw="raw", gt="gt", suffix=".png", raw_suffix=".png", eight_bit=False):
    """Writes a pair into ``folder/raw`` and ``folder/gt``."""
    raw_path, target_path = folder / raw / f"{name}{raw_suffix}", folder / gt / f"{name.rpartition('/')[2]}{suffix}"
    for path in (raw_path, target_path):
        path.parent.mkdir(parents=True, exist_ok=True)
    if raw_suffix == ".raw":
        mosaic.astype("<u2").tofile(raw_path)
    else:
        cv2.imwrite(str(raw_path), np.minimum(mosaic, 255).astype(np.uint8) if eight_bit else mosaic)
    cv2.imwrite(str(target_path), target[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 97] if suffix == ".jpg" else [])


def zrr_tree(root, rng, train=8, val=2, test=3):
    """The first numbers of each split; every third RAW file dark and stored with 8 bits."""
    numbers = [*range(train), *range(960, 960 + val)]
    for folder, names in (("train", numbers), ("test", range(test))):
        dark = iter(pairs(len(names), rng, exposure=0.2))
        for position, (bright, name) in enumerate(zip(pairs(len(names), rng), names, strict=True)):
            mosaic, target = next(dark) if position % 3 == 2 else bright
            write(root / folder, str(name), mosaic, target, "huawei_raw", "canon", ".jpg", eight_bit=position % 3 == 2)
    full = next(pairs(1, rng, size=2 * SIZE))[0]
    (root / "full_resolution" / "huawei_raw").mkdir(parents=True)
    cv2.imwrite(str(root / "full_resolution" / "huawei_raw" / "0.png"), full)


def mai21_tree(root, rng, black=255, white=4095):
    """Pairs of each split of our list, and the organizers' RAW files without targets."""
    from ispbench.data.split_lists import SplitList

    held = SplitList.load("mai21-v1").held_out
    numbers = [n for n in range(200) if all(n not in numbers for _, numbers in held.values())][:8]
    numbers += [number for _, held_out in held.values() for number in sorted(held_out)[:2]]
    for name, (mosaic, target) in zip(numbers, pairs(len(numbers), rng, black=black, white=white), strict=True):
        write(root / "train", str(name), mosaic, target, "mediatek_raw", "fujifilm")
    for name, (mosaic, _) in enumerate(pairs(2, rng, black=black, white=white)):
        write(root / "test", str(name), mosaic, np.zeros((2, 2, 3), np.uint8), "mediatek_raw", "unused")


def rhid_tree(root, rng):
    """Two sets that share targets, without headers."""
    for folder, count in (("train", 6), ("val", 2)):
        for number, (mosaic, target) in enumerate(pairs(count, rng, black=0, white=4095)):
            for lights in ("set1", "set4"):
                write(root / folder, f"{lights}/{number}_3", mosaic, target, "Revealer", "Canon", raw_suffix=".raw")
