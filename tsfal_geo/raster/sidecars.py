"""Files beside a map: category names and attribute table for GDAL, styles for QGIS."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as Xml

from tsfal_geo.atomic import write_text
from tsfal_geo.classes import ClassMap

_TABLE_COLUMNS = (("Value", 0, 5), ("Class", 2, 2), ("Red", 0, 6), ("Green", 0, 7), ("Blue", 0, 8))
"""Name, type (0 integer, 2 text) and usage of the attribute table's columns, as GDAL numbers them."""


def take_srs(path: Path) -> Xml.Element | None:
    """Remove the ``.aux.xml`` that GDAL left beside a file of a passing name, and keep the CRS of it.

    GDAL writes a CRS there that a GeoTIFF's keys cannot hold, such as a projected one of three dimensions.

    Args:
        path: the file that GDAL wrote.

    Returns:
        The CRS for `write_aux`; None where the file itself holds it.
    """
    beside = path.with_name(f"{path.name}.aux.xml")
    if not beside.is_file():
        return None
    found = Xml.parse(beside).getroot().find("SRS")
    beside.unlink()
    return found


def write_aux(path: Path, classes: ClassMap | None, srs: Xml.Element | None = None) -> None:
    """Write ``<path>.aux.xml``: CRS, category names and raster attribute table, by class id.

    Args:
        path: the raster.
        classes: its classes; None for a raster that shows none.
        srs: a CRS that the raster itself does not hold, of `take_srs`.
    """
    root = Xml.Element("PAMDataset")
    if srs is not None:
        root.append(srs)
    if classes is not None:
        _add_classes(root, classes)
    _write(path.with_name(f"{path.name}.aux.xml"), root)


def _add_classes(root: Xml.Element, classes: ClassMap) -> None:
    band = Xml.SubElement(root, "PAMRasterBand", band="1")
    names = {info.id: info.name for info in classes.classes}
    categories = Xml.SubElement(band, "CategoryNames")
    for value in range(max(names) + 1):
        Xml.SubElement(categories, "Category").text = names.get(value, "")
    table = Xml.SubElement(band, "GDALRasterAttributeTable", tableType="thematic")
    for index, (name, kind, usage) in enumerate(_TABLE_COLUMNS):
        column = Xml.SubElement(table, "FieldDefn", index=str(index))
        for key, text in (("Name", name), ("Type", str(kind)), ("Usage", str(usage))):
            Xml.SubElement(column, key).text = text
    for index, info in enumerate(classes.classes):
        row = Xml.SubElement(table, "Row", index=str(index))
        for field in (info.id, info.name, *info.colour):
            Xml.SubElement(row, "F").text = str(field)


def write_class_style(path: Path, classes: ClassMap) -> None:
    """Write the QGIS style that shows classes in their colours, by name.

    Args:
        path: the class map; the style is the ``.qml`` beside it.
        classes: its classes.
    """
    renderer, root = _style(type="paletted", band="1", opacity="1", alphaBand="-1", nodataColor="")
    palette = Xml.SubElement(renderer, "colorPalette")
    for info in classes.classes:
        entry = {"value": str(info.id), "label": info.name, "color": _hex(info.colour), "alpha": "255"}
        Xml.SubElement(palette, "paletteEntry", entry)
    _write(path.with_suffix(".qml"), root)


def write_grey_style(path: Path, low: float, high: float) -> None:
    """Write the QGIS style that shows one band in greys.

    Args:
        path: the raster; the style is the ``.qml`` beside it.
        low: pixel value of black.
        high: pixel value of white.
    """
    renderer, root = _style(
        type="singlebandgray", grayBand="1", opacity="1", alphaBand="-1", gradient="BlackToWhite"
    )
    stretch = Xml.SubElement(renderer, "contrastEnhancement")
    for key, value in (("minValue", low), ("maxValue", high), ("algorithm", "StretchToMinimumMaximum")):
        Xml.SubElement(stretch, key).text = str(value)
    _write(path.with_suffix(".qml"), root)


def _style(**renderer: str) -> tuple[Xml.Element, Xml.Element]:
    root = Xml.Element("qgis", version="3.34", styleCategories="Symbology")
    pipe = Xml.SubElement(root, "pipe")
    return Xml.SubElement(pipe, "rasterrenderer", renderer), root


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _write(path: Path, root: Xml.Element) -> None:
    Xml.indent(root)
    write_text(path, Xml.tostring(root, encoding="unicode") + "\n")
