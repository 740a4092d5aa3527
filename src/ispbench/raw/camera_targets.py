"""sRGB targets for a camera file, aligned with its mosaic pixel by pixel: LibRaw's rendering or the camera's JPEG.

camera = read_camera("IMG_0001.CR2")
target = libraw_rendering(camera)    # sRGB, shape (H, W, 3)
"""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import rawpy
from numpy.typing import NDArray

from ispbench.errors import UserError
from ispbench.raw.camera_file import CameraFile, opened

_SRGB_CURVE = (2.4, 12.92)  # exponent and slope of the linear toe
_BORDER = 0.05  # the fraction of height and width that a camera may crop for its JPEG
_PATCH = 512
_MIN_CORRELATION = 0.8
_MIN_CONTRAST = 1.0  # standard deviation of 8-bit luminance


def libraw_rendering(camera: CameraFile) -> NDArray[np.uint8]:
    """LibRaw's sRGB rendering of the file, aligned with the mosaic, shape (H, W, 3).

    It uses the white balance of `camera`, AHD demosaicing, the camera's color matrix if LibRaw knows it, and the sRGB
    curve. Highlights are clipped; the image is neither brightened nor rotated. Pixels stay where the sensor has them,
    even if they are not square.
    """
    return _cut(_render_visible(camera), camera)


def camera_jpeg(camera: CameraFile) -> tuple[CameraFile, NDArray[np.uint8]]:
    """The JPEG that the camera made itself, and the part of the mosaic that it shows.

    The JPEG must have the sensor's scale: the size of the visible area, minus at most 5% of its height and width. Its
    position is found by correlating it with LibRaw's rendering.

    Returns:
        The camera file with its mosaic cropped to the JPEG, and the JPEG, shape (H, W, 3), sRGB.

    Raises:
        UserError: if there is no JPEG of that size or its position cannot be found.
    """
    jpeg, rendering = _camera_jpeg(camera.path), _render_visible(camera)
    (height, width), (full_height, full_width) = jpeg.shape[:2], rendering.shape[:2]
    spare = (full_height - height, full_width - width)
    if not (0 <= spare[0] <= _BORDER * full_height and 0 <= spare[1] <= _BORDER * full_width):
        raise UserError(
            f"The JPEG in {camera.path} is {width}x{height} but its RAW is {full_width}x{full_height}, so it cannot be "
            "the target of each pixel; use data.target=libraw."
        )
    offset, correlation = _locate(jpeg, rendering, spare)
    if correlation < _MIN_CORRELATION:
        raise UserError(
            f"The JPEG in {camera.path} cannot be aligned with its RAW (correlation {correlation:.2f}); "
            "use data.target=libraw."
        )
    # The first row and column that both have, at an even distance from the first one of the mosaic.
    skip = [-(-max(place - start, 0) // 2) * 2 for place, start in zip(offset, camera.origin, strict=True)]
    origin = (camera.origin[0] + skip[0], camera.origin[1] + skip[1])
    rows, columns = (
        min(length, place + side - start) // 2 * 2
        for length, place, side, start in (
            (camera.mosaic.shape[0] - skip[0], offset[0], height, origin[0]),
            (camera.mosaic.shape[1] - skip[1], offset[1], width, origin[1]),
        )
    )
    part = replace(
        camera, mosaic=camera.mosaic[skip[0] : skip[0] + rows, skip[1] : skip[1] + columns].copy(), origin=origin
    )
    top, left = origin[0] - offset[0], origin[1] - offset[1]
    return part, jpeg[top : top + rows, left : left + columns]


def _render_visible(camera: CameraFile) -> NDArray[np.uint8]:
    """LibRaw's rendering of the whole visible area."""
    red, green, blue = camera.white_balance
    with opened(camera.path) as raw:
        image = raw.postprocess(
            user_wb=[red, green, blue, green],
            user_sat=round(float(camera.white_levels.max() - camera.black_levels.min())),  # relative to black
            adjust_maximum_thr=0.0,
            no_auto_bright=True,
            gamma=_SRGB_CURVE,
            output_color=rawpy.ColorSpace.sRGB,
            output_bps=8,
            user_flip=0,
        )
        visible = raw.raw_image_visible.shape
    image = _unstretched(image, visible, camera.aspect)
    if image.shape[:2] != visible:
        raise UserError(
            f"LibRaw renders {camera.path} at {image.shape[1]}x{image.shape[0]} but its mosaic is "
            f"{visible[1]}x{visible[0]} (a rotated sensor); no target can be aligned with it. Remove the file."
        )
    return image


def _unstretched(image: NDArray[np.uint8], shape: tuple[int, int], aspect: float) -> NDArray[np.uint8]:
    """Reverts the linear interpolation with which LibRaw makes pixels square, (H', W', 3) to (H, W, 3)."""
    if image.shape[:2] == shape:
        return image
    rows, columns = np.arange(shape[0], dtype=np.float32), np.arange(shape[1], dtype=np.float32)
    if aspect > 1 and image.shape[0] == shape[0]:
        columns *= aspect
    elif aspect < 1 and image.shape[1] == shape[1]:
        rows /= aspect
    else:
        return image
    map_x, map_y = np.meshgrid(columns, rows)
    return np.asarray(cv2.remap(image, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _cut(image: NDArray[np.uint8], camera: CameraFile) -> NDArray[np.uint8]:
    (top, left), (height, width) = camera.origin, camera.mosaic.shape
    return np.ascontiguousarray(image[top : top + height, left : left + width])


def embedded_preview(path: Path) -> NDArray[np.uint8] | None:
    """The largest preview in a camera file, sRGB, shape (h, w, 3), in the orientation of the sensor; None if none."""
    preview = _thumbnail(path)
    if preview is None or preview.format == rawpy.ThumbFormat.BITMAP:
        return None if preview is None else np.asarray(preview.data, np.uint8)
    return _decoded(preview)


def _camera_jpeg(path: Path) -> NDArray[np.uint8]:
    """The largest preview in the file, which must be a JPEG, in the orientation of the sensor."""
    preview = _thumbnail(path)
    if preview is None or preview.format != rawpy.ThumbFormat.JPEG:
        raise UserError(f"{path} holds no camera JPEG; use data.target=libraw.")
    image = _decoded(preview)
    if image is None:
        raise UserError(f"The JPEG in {path} is damaged; use data.target=libraw.")
    return image


def _thumbnail(path: Path) -> rawpy.Thumbnail | None:
    with opened(path) as raw:
        try:
            return raw.extract_thumb()
        except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError):
            return None


def _decoded(preview: rawpy.Thumbnail) -> NDArray[np.uint8] | None:
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(np.frombuffer(preview.data, np.uint8), flags)
    return None if image is None else np.asarray(image, np.uint8)


def _locate(
    jpeg: NDArray[np.uint8], rendering: NDArray[np.uint8], spare: tuple[int, int]
) -> tuple[tuple[int, int], float]:
    """Row and column of the JPEG's first pixel in the rendering, found by the luminance of its center, and a score."""
    sides = [min(_PATCH, side) for side in jpeg.shape[:2]]
    top, left = ((side - patch) // 2 for side, patch in zip(jpeg.shape[:2], sides, strict=True))
    patch = jpeg[top : top + sides[0], left : left + sides[1]]
    field = rendering[top : top + sides[0] + spare[0], left : left + sides[1] + spare[1]]
    gray_field, gray_patch = (cv2.cvtColor(np.ascontiguousarray(part), cv2.COLOR_RGB2GRAY) for part in (field, patch))
    if gray_patch.std() < _MIN_CONTRAST:
        return (0, 0), 0.0
    scores = np.nan_to_num(cv2.matchTemplate(gray_field, gray_patch, cv2.TM_CCOEFF_NORMED), posinf=0, neginf=0)
    row, column = np.unravel_index(int(scores.argmax()), scores.shape)
    return (int(row), int(column)), float(scores[row, column])
