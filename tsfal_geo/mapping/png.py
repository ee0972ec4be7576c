"""A class map as a PNG of ids with a palette: what benchmarks of pictures take, and any viewer shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tsfal_geo.classes import IGNORE, ClassMap
from tsfal_geo.raster.files import open_raster, reading
from tsfal_geo.workspace.atomic import replace_file


def write_png(path: Path, class_map: Path, classes: ClassMap) -> None:
    """Write a PNG, whole or not at all; it holds no georeference.

    Args:
        path: the PNG: class ids in 8 bits, the classes' colours as its palette, 255 transparent.
        class_map: class ids, nodata 255; read whole.
        classes: their colours.

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
