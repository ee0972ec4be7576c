"""Styles and edit forms for QGIS: QML that QGIS reads from the file's ``layer_styles`` table."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from tsfal_geo.classes import ClassMap, Colour
from tsfal_geo.geopackage.tables import literal

_VISIBLE: Colour = (255, 0, 255)
_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>"
STYLE_TABLE = """CREATE TABLE IF NOT EXISTS layer_styles (
id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256), f_table_schema TEXT(256),
f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT,
useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')))"""


def label_style(classes: ClassMap, author: str) -> str:
    """Return the QML of a layer of labels: class colours, a pick-list of classes, defaults elsewhere.

    The class has no default, so that the file refuses a polygon without a class.

    Args:
        classes: the class map.
        author: default of the column ``author``.
    """
    root = _style()
    _categories(root, "class_id", classes, fill=True)
    fields = ET.SubElement(root, "fieldConfiguration")
    _pick_list(fields, "class_id", [(info.name, str(info.id)) for info in classes.classes])
    defaults = ET.SubElement(root, "defaults")
    for name, expression in (("author", literal(author)), ("source", "'drawn'")):
        ET.SubElement(defaults, "default", field=name, expression=expression, applyOnUpdate="0")
    return _qml(root)


def query_style(classes: ClassMap) -> str:
    """Return the QML of a layer of queries: outlines in the suggested class's colour, over visible pixels.

    Args:
        classes: the class map.
    """
    root = _style()
    _categories(root, "suggested", classes, fill=False, others="no suggestion")
    fields = ET.SubElement(root, "fieldConfiguration")
    _pick_list(fields, "suggested", [(info.name, str(info.id)) for info in classes.classes])
    return _qml(root)


def class_style(classes: ClassMap) -> str:
    """Return the QML of a layer of polygons with a ``class_id``: class colours.

    Args:
        classes: the class map.
    """
    root = _style()
    _categories(root, "class_id", classes, fill=True)
    return _qml(root)


def outline_style() -> str:
    """Return the QML of a layer of outlines that are visible on any raster."""
    root = _style()
    renderer = ET.SubElement(root, "renderer-v2", type="singleSymbol", enableorderby="0")
    _fill_symbol(ET.SubElement(renderer, "symbols"), "0", _VISIBLE, fill=False)
    return _qml(root)


def decision_style() -> str:
    """Return the QML of the table of decisions: a pick-list of statuses."""
    root = _style()
    fields = ET.SubElement(root, "fieldConfiguration")
    _pick_list(fields, "status", [(status, status) for status in ("done", "skipped", "unsure")])
    return _qml(root)


def _style() -> ET.Element:
    return ET.Element("qgis", version="3.22.0", styleCategories="Symbology|Fields|Forms")


def _categories(
    root: ET.Element, field: str, classes: ClassMap, fill: bool, others: str | None = None
) -> None:
    """Add a colour a class, and one for rows without any: QGIS draws nothing where no category fits."""
    renderer = ET.SubElement(root, "renderer-v2", type="categorizedSymbol", attr=field, enableorderby="0")
    categories = ET.SubElement(renderer, "categories")
    symbols = ET.SubElement(renderer, "symbols")
    for position, info in enumerate(classes.classes):
        ET.SubElement(
            categories,
            "category",
            value=str(info.id),
            type="long",
            symbol=str(position),
            label=info.name,
            render="true",
        )
        _fill_symbol(symbols, str(position), info.colour, fill)
    if others is not None:
        last = str(len(classes.classes))
        ET.SubElement(categories, "category", value="", type="NULL", symbol=last, label=others, render="true")
        _fill_symbol(symbols, last, _VISIBLE, fill)


def _fill_symbol(symbols: ET.Element, name: str, colour: Colour, fill: bool) -> None:
    symbol = ET.SubElement(symbols, "symbol", type="fill", name=name, alpha="1")
    layer = ET.SubElement(symbol, "layer", {"class": "SimpleFill", "enabled": "1", "pass": "0"})
    red, green, blue = colour
    values = {
        "color": f"{red},{green},{blue},110",
        "style": "solid" if fill else "no",
        "outline_color": f"{red},{green},{blue},255",
        "outline_style": "solid",
        "outline_width": "0.3" if fill else "0.6",
        "outline_width_unit": "MM",
    }
    options = ET.SubElement(layer, "Option", type="Map")
    for key, value in values.items():
        ET.SubElement(options, "Option", type="QString", name=key, value=value)
        ET.SubElement(layer, "prop", k=key, v=value)  # for QGIS 3.22 and older


def _pick_list(fields: ET.Element, field: str, choices: list[tuple[str, str]]) -> None:
    widget = ET.SubElement(ET.SubElement(fields, "field", name=field), "editWidget", type="ValueMap")
    config = ET.SubElement(ET.SubElement(widget, "config"), "Option", type="Map")
    entries = ET.SubElement(config, "Option", type="List", name="map")
    for text, value in choices:
        entry = ET.SubElement(entries, "Option", type="Map")
        ET.SubElement(entry, "Option", type="QString", name=text, value=value)


def _qml(root: ET.Element) -> str:
    ET.indent(root)
    return f"{_DOCTYPE}\n{ET.tostring(root, encoding='unicode')}"
