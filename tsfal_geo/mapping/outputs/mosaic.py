"""All class maps as one raster. Where maps overlap, the first by name lies on top, but for its nodata."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as Xml

import rasterio.shutil
from odc.geo.geobox import GeoBox

from tsfal_geo.atomic import replace_file, write_text
from tsfal_geo.classes import IGNORE, ClassMap
from tsfal_geo.mapping.outputs.products import check_mosaic
from tsfal_geo.raster import sidecars
from tsfal_geo.raster.files import open_raster
from tsfal_geo.raster.scene import Scene, grid_of
from tsfal_geo.raster.write import BLOCK


def write_mosaic(path: Path, maps: Sequence[Path], classes: ClassMap) -> Path:
    """Write a mosaic, and style and names beside it.

    The mosaic has the first map's grid. Maps whose pixels lie between its pixels, or have another size, are
    sampled at the nearest pixel.

    Args:
        path: ``.tif`` for a file with the pixels, ``.vrt`` for a list of the maps, which are read each time.
        maps: class maps; the first by name lies on top.
        classes: names and colours.

    Returns:
        The mosaic's path.

    Raises:
        RasterError: the maps have several CRSs, are rotated, or lack a georeference.
    """
    sources = [_placed(map_path) for map_path in sorted(maps, key=lambda each: each.name)]
    check_mosaic(sources)
    folder = path.parent
    if path.suffix == ".vrt":
        write_text(path, _vrt(sources, classes, folder))
        sidecars.write_class_style(path, classes)
        return path
    # The folder is the maps', so that the list names them as they lie; no scene is called so.
    listed_path = folder / f".{path.stem}-sources.vrt"
    with replace_file(listed_path) as listed, replace_file(path) as temporary:
        listed.write_text(_vrt(sources, classes, folder), encoding="utf-8")
        rasterio.shutil.copy(
            listed,
            temporary,
            driver="COG",
            BLOCKSIZE=str(BLOCK),
            COMPRESS="DEFLATE",
            OVERVIEW_RESAMPLING="MODE",
            BIGTIFF="IF_SAFER",
            NUM_THREADS="2",
        )
        srs = sidecars.take_srs(temporary)
    listed_path.unlink()
    sidecars.write_aux(path, classes, srs)
    sidecars.write_class_style(path, classes)
    return path


def _placed(path: Path) -> Scene:
    with open_raster(path) as dataset:
        return Scene(path.stem, path, grid_of(dataset), 1, "uint8")


def _vrt(sources: Sequence[Scene], classes: ClassMap, folder: Path) -> str:
    first = sources[0].grid.affine
    boxes = [_place(source.grid, first) for source in sources]
    left, top = (math.floor(min(box[i] for box in boxes) + 1e-6) for i in (0, 1))
    right = math.ceil(max(box[0] + box[2] for box in boxes) - 1e-6)
    bottom = math.ceil(max(box[1] + box[3] for box in boxes) - 1e-6)
    root = Xml.Element("VRTDataset", rasterXSize=str(right - left), rasterYSize=str(bottom - top))
    crs = sources[0].grid.crs
    assert crs is not None
    Xml.SubElement(root, "SRS").text = crs.to_wkt()
    origin = (first.c + left * first.a, first.f + top * first.e)
    transform = (origin[0], first.a, 0.0, origin[1], 0.0, first.e)
    Xml.SubElement(root, "GeoTransform").text = ", ".join(repr(value) for value in transform)
    band = Xml.SubElement(root, "VRTRasterBand", dataType="Byte", band="1")
    Xml.SubElement(band, "NoDataValue").text = str(IGNORE)
    Xml.SubElement(band, "ColorInterp").text = "Palette"
    table = Xml.SubElement(band, "ColorTable")
    names = Xml.SubElement(band, "CategoryNames")
    by_id = {info.id: info for info in classes.classes}
    for value in range(256):
        info = by_id.get(value)
        red, green, blue = info.colour if info else (0, 0, 0)
        alpha = str(255 if info else 0)
        Xml.SubElement(table, "Entry", c1=str(red), c2=str(green), c3=str(blue), c4=alpha)
        if value <= max(by_id):
            Xml.SubElement(names, "Category").text = info.name if info else ""
    # A map that is listed later lies on top.
    for source, (x, y, width, height) in reversed(list(zip(sources, boxes, strict=True))):
        item = Xml.SubElement(band, "ComplexSource")
        name = Path(os.path.relpath(source.path, folder)).as_posix()
        Xml.SubElement(item, "SourceFilename", relativeToVRT="1").text = name
        Xml.SubElement(item, "SourceBand").text = "1"
        full = {"xOff": 0, "yOff": 0, "xSize": source.grid.width, "ySize": source.grid.height}
        Xml.SubElement(item, "SrcRect", {key: str(value) for key, value in full.items()})
        target = {"xOff": x - left, "yOff": y - top, "xSize": width, "ySize": height}
        Xml.SubElement(item, "DstRect", {key: repr(value) for key, value in target.items()})
        Xml.SubElement(item, "NODATA").text = str(IGNORE)
    Xml.indent(root)
    return Xml.tostring(root, encoding="unicode") + "\n"


def _place(grid: GeoBox, first: rasterio.Affine) -> tuple[float, float, float, float]:
    """Give left, top, width and height of a grid in pixels of the first, without rounding errors."""
    affine = grid.affine
    values = (
        (affine.c - first.c) / first.a,
        (affine.f - first.f) / first.e,
        grid.width * affine.a / first.a,
        grid.height * affine.e / first.e,
    )
    x, y, width, height = (float(round(v)) if abs(v - round(v)) < 1e-3 else float(v) for v in values)
    return x, y, width, height
