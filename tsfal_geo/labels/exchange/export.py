"""Export of labels: GeoPackage, GeoParquet, GeoJSON, FlatGeobuf, GeoTIFF of classes, COCO."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyproj

from tsfal_geo.atomic import replace_file, write_text
from tsfal_geo.classes import ClassMap
from tsfal_geo.errors import LabelError, require_extra
from tsfal_geo.geopackage.frames import write_frame
from tsfal_geo.geopackage.tables import GPKG_OPTIONS
from tsfal_geo.labels.exchange.coco import coco
from tsfal_geo.labels.model import Label, by_layer, stamp, stored_geometries
from tsfal_geo.labels.rasterise import BLOCK, PolygonLabels
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.layer_crs import layer_crs
from tsfal_geo.raster.scene import Scene

if TYPE_CHECKING:
    import geopandas

FORMATS = {
    ".gpkg": "GPKG",
    ".parquet": "GeoParquet",
    ".geojson": "GeoJSON",
    ".fgb": "FlatGeobuf",
    ".json": "COCO",
    "": "GeoTIFF",
}


def export_labels(
    labels: Sequence[Label], scenes: Sequence[Scene], classes: ClassMap, out: Path
) -> list[Path]:
    """Write labels in the format that the suffix of ``out`` names.

    Args:
        labels: oldest first.
        scenes: the scenes.
        classes: the class map.
        out: ``.gpkg``, ``.parquet``, ``.geojson``, ``.fgb``, ``.json`` (COCO), or a folder for GeoTIFFs.

    Returns:
        The files written. Formats of one CRS a file get a file for each CRS.

    Raises:
        LabelError: another suffix.
        UserError: GeoParquet is asked for and pyarrow is not installed.
    """
    suffix = out.suffix.lower()
    if suffix not in FORMATS:
        raise LabelError(
            f"{out}: found {suffix}, expected one of {', '.join(filter(None, FORMATS))} or a folder"
        )
    if suffix == "":
        return _write_rasters(labels, scenes, classes, out)
    if suffix == ".json":
        write_text(out, json.dumps(coco(labels, scenes, classes), ensure_ascii=False))
        return [out]
    return _write_vector(labels, scenes, classes, out)


def _write_rasters(
    labels: Sequence[Label], scenes: Sequence[Scene], classes: ClassMap, out: Path
) -> list[Path]:
    from tsfal_geo.raster.write import class_writer

    reader = PolygonLabels(labels, scenes, classes)
    paths = []
    for position, scene in enumerate(scenes):
        path = out / f"{scene.name}.tif"
        with class_writer(path, scene.grid, classes) as writer:
            for y in range(0, scene.height, BLOCK):
                rows = min(BLOCK, scene.height - y)
                writer.write(y, 0, reader.read(Window(position, y, 0, rows, scene.width)))
        paths.append(path)
    return paths


def _write_vector(
    labels: Sequence[Label], scenes: Sequence[Scene], classes: ClassMap, out: Path
) -> list[Path]:
    by_name = {scene.name: scene for scene in scenes}
    if out.suffix.lower() == ".parquet":
        require_extra("pyarrow", "parquet", f"{out}: GeoParquet")
    layers = layer_crs(scenes, "labels")
    frames = {
        layer: _frame(group, by_name, classes, layers[layer])
        for layer, group in by_layer(labels, by_name, "labels")
    } or {"labels": _frame([], by_name, classes, layers["labels"])}
    if out.suffix.lower() == ".gpkg":
        with replace_file(out) as temporary:
            for layer, frame in frames.items():
                options = {} if temporary.exists() else {"dataset_options": GPKG_OPTIONS}
                write_frame(frame, temporary, "GPKG", layer=layer, promote_to_multi=True, **options)
        return [out]
    paths = []
    for layer, frame in frames.items():
        path = out.with_stem(out.stem + layer.removeprefix("labels"))
        with replace_file(path) as temporary:
            if path.suffix.lower() == ".parquet":
                frame.to_parquet(temporary)
            else:
                write_frame(frame, temporary, FORMATS[path.suffix.lower()])
        paths.append(path)
    return paths


def _frame(
    labels: Sequence[Label], scenes: dict[str, Scene], classes: ClassMap, crs: pyproj.CRS | None
) -> geopandas.GeoDataFrame:
    import geopandas

    names = {info.id: info.name for info in classes.classes}
    columns = {
        "class_id": [label.class_id for label in labels],
        "class_name": [names[label.class_id] for label in labels],
        "scene": [label.scene for label in labels],
        "qid": [label.qid for label in labels],
        "round": [label.round for label in labels],
        "author": [label.author for label in labels],
        "created": [stamp(label.created) for label in labels],
        "source": [label.source for label in labels],
    }
    return geopandas.GeoDataFrame(columns, geometry=list(stored_geometries(labels, scenes)), crs=crs)
