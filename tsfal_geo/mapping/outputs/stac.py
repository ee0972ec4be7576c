"""STAC items beside the maps, one for each scene."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pystac
import shapely
from pystac.extensions.classification import Classification, ClassificationExtension
from pystac.extensions.projection import ProjectionExtension

from tsfal_geo.atomic import write_text
from tsfal_geo.classes import ClassMap
from tsfal_geo.errors import RasterError
from tsfal_geo.mapping.outputs.ground import bounding_box, footprint
from tsfal_geo.mapping.outputs.products import MODEL_ITEM
from tsfal_geo.mapping.outputs.rasters import SceneMap
from tsfal_geo.raster.files import open_raster
from tsfal_geo.raster.scene import Scene

_TIMES = ("ACQUISITIONDATETIME", "EXIF_DateTimeOriginal", "TIFFTAG_DATETIME")


def write_map_item(
    files: SceneMap, scene: Scene, classes: ClassMap, further: dict[str, Path] | None = None
) -> Path | None:
    """Write ``<scene>.stac.json`` beside the map, with the picture's time as its date.

    The date of a picture that declares none is that of writing.

    Args:
        files: the scene's rasters.
        scene: the scene.
        classes: names and colours.
        further: other files of the scene, by role.

    Returns:
        The item's path; None for a scene without a CRS on the earth, which has no place in STAC.
    """
    place = footprint(scene)
    if place is None:
        return None
    box, now = bounding_box([place]), datetime.now(UTC)
    stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    path = files.classes.with_suffix(".stac.json")
    item = pystac.Item(
        files.scene, shapely.geometry.mapping(place), box, _taken(scene) or now, {"created": stamp}
    )
    projection = ProjectionExtension.ext(item, add_if_missing=True)
    crs = scene.grid.crs
    assert crs is not None
    projection.apply(
        code=f"EPSG:{crs.epsg}" if crs.epsg else None,
        wkt2=None if crs.epsg else crs.to_wkt(),
        shape=list(scene.shape),
        transform=list(scene.grid.affine)[:6],
    )
    item.add_asset("classes", asset(files.classes, path, pystac.MediaType.COG, "class map"))
    ClassificationExtension.ext(item.assets["classes"], add_if_missing=True).classes = stac_classes(classes)
    for layer, raster in files.layers.items():
        item.add_asset(layer, asset(raster, path, pystac.MediaType.COG, layer.replace("_", " ")))
    for role, file in (further or {}).items():
        item.add_asset(role, asset(file, path, _media_type(file), role))
    item.add_link(pystac.Link("derived_from", MODEL_ITEM, pystac.MediaType.JSON, "the model"))
    return write_item(item, path)


def _taken(scene: Scene) -> datetime | None:
    """Read when a picture was taken, as GDAL and cameras note it; UTC where they name no time zone."""
    try:
        with open_raster(scene.path) as dataset:
            tags = {**dataset.tags(), **dataset.tags(ns="IMAGERY")}
    except RasterError:
        return None
    for name in _TIMES:
        text = re.sub(r"^(\d{4}):(\d\d):(\d\d)", r"\1-\2-\3", str(tags.get(name, "")).strip())
        try:
            time = datetime.fromisoformat(text)
            return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
        except (ValueError, OverflowError):
            continue
    return None


def stac_classes(classes: ClassMap) -> list[Classification]:
    """Describe classes as the classification extension does, in the order of class indices.

    Args:
        classes: the class map.
    """
    return [
        Classification.create(
            info.id,
            name=re.sub(r"\W+", "_", info.name) or str(info.id),
            description=info.name,
            title=info.name,
            color_hint="{:02X}{:02X}{:02X}".format(*info.colour),
        )
        for info in classes.classes
    ]


def asset(file: Path, item: Path, media: str | None, title: str) -> pystac.Asset:
    """Make an asset of a file, by its path relative to the item.

    Args:
        file: the file.
        item: path of the item.
        media: its media type.
        title: of the asset.
    """
    return pystac.Asset(
        Path(os.path.relpath(file, item.parent)).as_posix(), title, media_type=media, roles=["data"]
    )


def _media_type(path: Path) -> str | None:
    types: dict[str, str] = {
        ".gpkg": pystac.MediaType.GEOPACKAGE,
        ".png": pystac.MediaType.PNG,
        ".parquet": "application/vnd.apache.parquet",
        ".fgb": "application/vnd.flatgeobuf",
    }
    return types.get(path.suffix)


def write_item(item: pystac.Item, path: Path) -> Path:
    """Write an item, whole or not at all.

    Args:
        item: the item.
        path: its file.

    Returns:
        The path.
    """
    values = item.to_dict(include_self_link=False, transform_hrefs=False)
    write_text(path, json.dumps(values, indent=1, ensure_ascii=False))
    return path
