"""Classes that label files describe: palettes, ``class_N`` tags, category names, attribute tables."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from rasterio.io import DatasetReader

from tsfal_geo.classes import IGNORE, VAIHINGEN, ClassInfo, ClassMap, Colour, distinct_colours
from tsfal_geo.config import NO_CLASS, LabelValue
from tsfal_geo.errors import LabelError
from tsfal_geo.raster.files import open_raster
from tsfal_geo.raster.label_decoder import palette
from tsfal_geo.raster.label_pixels import check_bands, check_ids_kept, label_strips, value_counts
from tsfal_geo.raster.scene import Scene

_MANY_IDS = 40
_CLASS_TAG = re.compile(r"class[_ ]?(\d{1,3})", re.IGNORECASE)


@dataclass
class LabelTable:
    """The classes that a label file describes.

    Attributes:
        names: class id → name.
        colours: class id → colour.
        counts: id in the pixels → number of pixels.
    """

    names: dict[int, str] = field(default_factory=dict)
    colours: dict[int, Colour] = field(default_factory=dict)
    counts: Counter[int] = field(default_factory=Counter)


def infer_class_map(scenes: Sequence[Scene], values: Sequence[LabelValue] = ()) -> ClassMap | None:
    """Infer the class map from single-band label files.

    The classes are those that the files name, by ``class_N`` tags, GDAL category names or a raster attribute
    table. Without names, the classes are the ids in the pixels, named "class N". Colours are those of the
    palette, or distinct ones if there is no palette. Classes that only ``values`` name come on top.

    Args:
        scenes: scenes, with or without labels.
        values: classes that values of the files mean.

    Returns:
        The class map, ordered by class id; None if no scene has single-band labels (RGB labels carry no
        table) and ``values`` name no class.

    Raises:
        LabelError: two files give one id different names, ids are smeared by compression, no class map can
            hold the ids, or ``values`` give an id that the files name a class that they do not have.
    """
    merged = LabelTable()
    sources: dict[int, Path] = {}
    for scene in scenes:
        if scene.labels is None:
            continue
        stat = scene.labels.stat()
        table = _read_table(scene.labels, stat.st_mtime_ns, stat.st_size, tuple(values))
        if table is not None:
            _merge(merged, table, scene.labels, sources)
    ids = sorted(merged.names or merged.counts)
    _check_said_classes(merged, values)
    _add_said_classes(merged, values, ids)
    if not ids:
        return None
    return _class_map(sorted(ids), merged).with_label_values(values)


def folder_class_map(scenes: Sequence[Scene], values: Sequence[LabelValue] = ()) -> ClassMap:
    """Return the class map of label files that nobody described in a configuration.

    Args:
        scenes: scenes, with or without labels.
        values: classes that values of the files mean.

    Returns:
        The class map of `infer_class_map`, else Vaihingen's.

    Raises:
        LabelError: as for `infer_class_map`.
    """
    return infer_class_map(scenes, values) or VAIHINGEN.with_label_values(values)


def _check_said_classes(table: LabelTable, values: Sequence[LabelValue]) -> None:
    """Refuse a new class for an id that the files name: it is a slip, or the files mean another thing."""
    known = {*table.names.values(), *map(str, table.names), NO_CLASS}
    for value in values:
        named = next((number for number in table.names if value.covers(number)), None)
        if named is not None and value.meaning not in known:
            raise LabelError(
                f"label_values: {value.key}={value.meaning}: the label files call {named} "
                f"'{table.names[named]}' and have no class '{value.meaning}', expected one of "
                f"{', '.join(table.names.values())}, or {NO_CLASS}; correct --map, or give `classes`"
            )


def _add_said_classes(table: LabelTable, values: Sequence[LabelValue], ids: list[int]) -> None:
    """Give ids to the classes that only ``values`` name: the value itself if it can be, else a free one."""
    known = {table.names.get(i, f"class {i}") for i in ids} | {str(i) for i in ids} | {NO_CLASS}
    said: dict[str, LabelValue] = {}
    for value in values:
        if value.meaning not in known:
            said.setdefault(value.meaning, value)
    own = {
        name: value.low
        for name, value in said.items()
        if value.low is not None and value.low == value.high and 0 <= value.low < IGNORE
    }
    taken = {*ids, *own.values()}
    free = (number for number in range(IGNORE) if number not in taken)
    for name, value in said.items():
        number = own[name] if name in own and own[name] not in ids else next(free)
        ids.append(number)
        table.names[number] = name
        if value.colour is not None:
            table.colours[number] = value.colour


def classes_are_named(scenes: Sequence[Scene]) -> bool:
    """Look for class names in label files.

    Args:
        scenes: scenes, with or without labels.

    Returns:
        True if a file names classes; RGB files never do.
    """
    for scene in scenes:
        if scene.labels is not None:
            stat = scene.labels.stat()
            table = _read_table(scene.labels, stat.st_mtime_ns, stat.st_size, ())
            if table is not None and table.names:
                return True
    return False


def _merge(merged: LabelTable, table: LabelTable, path: Path, sources: dict[int, Path]) -> None:
    for value, name in table.names.items():
        earlier = merged.names.setdefault(value, name)
        if earlier != name:
            raise LabelError(
                f"{path} calls id {value} '{name}', {sources[value]} calls it '{earlier}'; make them agree "
                "or give `classes` in the configuration"
            )
        sources.setdefault(value, path)
    merged.colours = table.colours | merged.colours
    merged.counts += table.counts


def _class_map(ids: Sequence[int], table: LabelTable) -> ClassMap:
    colours: dict[int, Colour] = {}
    for value in ids:
        if value in table.colours and table.colours[value] not in colours.values():
            colours[value] = table.colours[value]
    missing = [value for value in ids if value not in colours]
    colours |= dict(zip(missing, distinct_colours(len(missing), colours.values()), strict=True))
    names: dict[int, str] = {}
    for value in ids:
        name = table.names.get(value, f"class {value}")
        names[value] = f"{name} ({value})" if name in names.values() else name
    return ClassMap(tuple(ClassInfo(value, names[value], colours[value]) for value in ids))


@lru_cache(maxsize=1024)
def _read_table(path: Path, _modified: int, _size: int, values: tuple[LabelValue, ...]) -> LabelTable | None:
    with open_raster(path) as dataset:
        if dataset.count > 2 or not np.issubdtype(np.dtype(dataset.dtypes[0]), np.integer):
            return None
        check_bands(path, dataset)
        if not values:
            check_ids_kept(path, dataset)
        table = _sidecar(path)
        table.colours |= palette(dataset)
        table.names |= _tagged(dataset)
        ignored = {IGNORE, dataset.nodata}
        table.names = {v: n for v, n in table.names.items() if v not in ignored and 0 <= v < IGNORE}
        found = _occurring(path, dataset)
    said = {v for v in found if any(value.covers(v) for value in values)}
    table.counts = Counter({v: n for v, n in found.items() if v not in ignored and v not in said})
    _check_ids(path, table.counts)
    return table


def _check_ids(path: Path, counts: Counter[int]) -> None:
    """Refuse ids that are no class ids: out of range, or as many as in masks of instances."""
    impossible = sorted(value for value in counts if not 0 <= value < IGNORE)
    if not impossible:
        return
    first, last = min(counts), max(counts)
    if len(counts) > _MANY_IDS:
        raise LabelError(
            f"{path} holds {len(counts)} different ids from {first} to {last}, as masks of instances do, "
            "expected "
            f"class ids from 0 to 254; say what they mean, such as --map {max(first, 1)}-{last}=building"
        )
    value = max(impossible, key=lambda v: counts[v])
    raise LabelError(
        f"{path}: id {value} on {counts[value]} pixels, expected class ids from 0 to 254; say what it "
        "means with "
        f"--map {value}=CLASS, or --map {value}=ignore"
    )


def _tagged(dataset: DatasetReader) -> dict[int, str]:
    tags = {**dataset.tags(), **dataset.tags(1)}
    matches = ((_CLASS_TAG.fullmatch(key), name) for key, name in tags.items())
    return {int(match[1]): name for match, name in matches if match and name}


def _occurring(path: Path, dataset: DatasetReader) -> Counter[int]:
    found: Counter[int] = Counter()
    for pixels in label_strips(path, dataset):
        values = pixels.values[0] if pixels.visible is None else pixels.values[0][pixels.visible]
        found += value_counts(values.ravel())
    return found


def _sidecar(path: Path) -> LabelTable:
    """Category names and attribute table of GDAL's ``.aux.xml`` (rasterio gives access to neither)."""
    sidecar = path.with_name(f"{path.name}.aux.xml")
    if not sidecar.is_file():
        return LabelTable()
    try:
        root = ElementTree.fromstring(sidecar.read_bytes())
    except ElementTree.ParseError as error:
        raise LabelError(f"{sidecar} is not readable ({error}); remove it or write it again") from None
    band = root.find("PAMRasterBand")
    if band is None:
        return LabelTable()
    table = _attribute_table(band.find("GDALRasterAttributeTable"))
    categories = band.findall("CategoryNames/Category")
    table.names |= {value: c.text for value, c in enumerate(categories) if c.text}
    return table


def _attribute_table(element: ElementTree.Element | None) -> LabelTable:
    """Values (usage 5 MinMax, or 3/4), names (2) and colours (6, 7, 8) of a raster attribute table."""
    table = LabelTable()
    if element is None:
        return table
    usage = {c.findtext("Usage", "0").strip(): int(c.get("index", "0")) for c in element.findall("FieldDefn")}
    value = usage.get("5", usage.get("3"))
    if value is None:
        return table
    for row in element.findall("Row"):
        fields = [f.text or "" for f in row.findall("F")]
        class_id = int(float(fields[value]))
        if "2" in usage and fields[usage["2"]]:
            table.names[class_id] = fields[usage["2"]]
        if {"6", "7", "8"} <= usage.keys():
            red, green, blue = (int(float(fields[usage[key]])) for key in "678")
            table.colours[class_id] = red, green, blue
    return table
