"""Pictures of a class map: a preview beside orthophoto and truth with a legend, and a plain PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rasterio.enums import Resampling

from tsfal_geo.atomic import replace_file
from tsfal_geo.classes import IGNORE, ClassMap
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.files import open_raster, reading
from tsfal_geo.raster.label_reader import LabelReader
from tsfal_geo.raster.reader import valid_pixels
from tsfal_geo.raster.scene import Scene

_MARGIN = 12
_FONT_SIZE = 16
_NARROWEST = 480
_INK = (30, 30, 30)
_NODATA = (0, 0, 0)
_STRETCH = (2, 98)  # percentiles of a band that become black and white


def save_preview(
    path: Path,
    scenes: Sequence[Scene],
    index: int,
    prediction: Path,
    classes: ClassMap,
    *,
    labels: LabelReader | None = None,
    bands: Sequence[int] | None = None,
    caption: str = "prediction",
    side: int = 640,
) -> None:
    """Write a picture of orthophoto, truth and prediction side by side, as PNG, whole or not at all.

    Rasters are read at the picture's resolution, so that a large scene takes no more memory than a small one.

    Args:
        path: the PNG.
        scenes: the scenes of ``labels``, in its order.
        index: position of the scene among them.
        prediction: class map of the scene (class ids, nodata 255).
        classes: names and colours.
        labels: the truth; None leaves its panel out.
        bands: 1-based bands to show as red, green, blue; None: the first three (or one, grey).
        caption: text over the prediction.
        side: pixels of a panel's longer side, at most.

    Raises:
        RasterError: a raster that cannot be read.
    """
    scene = scenes[index]
    shape = picture_shape(scene, side)
    panels = [("image", scene_picture(scene, bands, shape))]
    if labels is not None:
        panels.append(("truth", label_picture(labels, index, scene, shape, classes)))
    panels.append((caption, class_picture(prediction, shape, classes)[0]))
    canvas = _compose(panels, classes)
    with replace_file(path) as temporary:
        canvas.save(temporary, optimize=True)


def write_png(path: Path, class_map: Path, classes: ClassMap) -> None:
    """Write a class map as PNG, whole or not at all, without georeference.

    The PNG holds class ids in 8 bits, the classes' colours as its palette, and 255 as transparent.

    Args:
        path: the PNG.
        class_map: raster of class ids, nodata 255; read at once, a byte a pixel.
        classes: class ids and their colours.

    Raises:
        RasterError: the class map cannot be read.
    """
    with open_raster(class_map) as dataset, reading(class_map):
        ids = dataset.read(1)
    palette = np.zeros((256, 3), np.uint8)
    palette[classes.ids] = classes.colours
    picture = Image.fromarray(ids)
    picture.putpalette(palette.tobytes())
    with replace_file(path) as temporary:
        picture.save(temporary, transparency=IGNORE)


def picture_shape(scene: Scene, side: int) -> tuple[int, int]:
    """Return height and width of a scene's picture.

    Args:
        scene: the scene.
        side: pixels of the picture's longer side, at most.
    """
    scale = min(1.0, side / max(scene.shape))
    return max(1, round(scene.height * scale)), max(1, round(scene.width * scale))


def scene_picture(scene: Scene, bands: Sequence[int] | None, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Draw an orthophoto, stretched, black without data.

    Args:
        scene: the scene.
        bands: 1-based bands to show as red, green, blue; None: the first three (or one, grey).
        shape: height and width of the picture.

    Returns:
        (height, width, 3) uint8.

    Raises:
        RasterError: the orthophoto cannot be read.
    """
    chosen = list(bands or scene.spectral)[:3]
    if len(chosen) < 3:
        chosen = chosen[:1]
    with open_raster(scene.path) as dataset, reading(scene.path):
        values = dataset.read(chosen, out_shape=(len(chosen), *shape), resampling=Resampling.average)
    valid = valid_pixels(values, scene.nodata)
    image = np.zeros((*shape, 3), np.uint8)
    for channel in range(3):
        image[..., channel] = _stretched(values[min(channel, len(chosen) - 1)], valid)
    return image


def label_picture(
    labels: LabelReader, index: int, scene: Scene, shape: tuple[int, int], classes: ClassMap
) -> NDArray[np.uint8]:
    """Draw label rasters in the classes' colours, black without a label.

    Args:
        labels: the label rasters.
        index: position of the scene among them.
        scene: the scene.
        shape: height and width of the picture.
        classes: the class map.

    Returns:
        (height, width, 3) uint8.

    Raises:
        RasterError: a label raster cannot be read.
    """
    return _colours(_decimated(labels, index, scene, shape), classes)


def class_picture(
    path: Path, shape: tuple[int, int], classes: ClassMap
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Draw a class map in the classes' colours, black without a class.

    Args:
        path: raster of class ids, nodata 255.
        shape: height and width of the picture.
        classes: the class map.

    Returns:
        (height, width, 3) uint8, and (height, width, 1) bool: True where there is a class.

    Raises:
        RasterError: the class map cannot be read.
    """
    index = _prediction(path, shape, classes)
    return _colours(index, classes), (index != IGNORE)[..., None]


def _stretched(band: NDArray[np.generic], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    if not valid.any():
        return np.zeros(band.shape, np.uint8)
    values = np.where(valid, band, 0).astype(np.float64)
    low, high = np.percentile(values[valid], _STRETCH)
    stretched = (values - low) / max(high - low, 1e-9) * 255
    return np.where(valid, stretched.clip(0, 255), 0).astype(np.uint8)


def _decimated(labels: LabelReader, index: int, scene: Scene, shape: tuple[int, int]) -> NDArray[np.uint8]:
    rows, columns = _nearest(scene.height, shape[0]), _nearest(scene.width, shape[1])
    return np.concatenate([labels.read(Window(index, int(y), 0, 1, scene.width))[:, columns] for y in rows])


def _nearest(length: int, count: int) -> NDArray[np.intp]:
    return ((np.arange(count) + 0.5) * length / count).astype(np.intp)


def _prediction(path: Path, shape: tuple[int, int], classes: ClassMap) -> NDArray[np.uint8]:
    with open_raster(path) as dataset, reading(path):
        ids = dataset.read(1, out_shape=shape, resampling=Resampling.nearest)
    index = classes.lut_ids_to_index()[ids]
    return np.where(index < 0, IGNORE, index).astype(np.uint8)


def _colours(index: NDArray[np.uint8], classes: ClassMap) -> NDArray[np.uint8]:
    table = np.full((256, 3), _NODATA, np.uint8)
    table[: len(classes)] = classes.colours
    return np.asarray(table[index])


def _compose(panels: Sequence[tuple[str, NDArray[np.uint8]]], classes: ClassMap) -> Image.Image:
    font = ImageFont.load_default(_FONT_SIZE)
    height, width = panels[0][1].shape[:2]
    line = _FONT_SIZE + 8
    step = max(width, max(int(font.getlength(title)) for title, _ in panels)) + _MARGIN
    total = max(_MARGIN + step * len(panels), _NARROWEST)
    places, legend_rows = _legend(classes, font, total)
    canvas = Image.new("RGB", (total, line + height + _MARGIN + legend_rows * line + _MARGIN), "white")
    draw = ImageDraw.Draw(canvas)
    for number, (title, image) in enumerate(panels):
        x = _MARGIN + number * step
        draw.text((x, 4), title, _INK, font)
        canvas.paste(Image.fromarray(image), (x, line))
    for info, (x, row) in zip(classes.classes, places, strict=True):
        y = line + height + _MARGIN + row * line
        draw.rectangle((x, y, x + _FONT_SIZE, y + _FONT_SIZE), info.colour, _INK)
        draw.text((x + _FONT_SIZE + 6, y - 2), info.name, _INK, font)
    return canvas


def _legend(
    classes: ClassMap, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int
) -> tuple[list[tuple[int, int]], int]:
    """Lay the classes' entries out like words: left edge and row of each, and the number of rows."""
    places, x, row = [], _MARGIN, 0
    for name in classes.names:
        length = _FONT_SIZE + 6 + int(font.getlength(name)) + 2 * _MARGIN
        if x > _MARGIN and x + length > width:
            x, row = _MARGIN, row + 1
        places.append((x, row))
        x += length
    return places, row + 1
