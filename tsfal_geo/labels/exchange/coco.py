"""Labels as COCO detection data sets: an image a scene, an annotation a label, in pixels.

Polygons without holes are lists of corners. Polygons with holes are uncompressed run lengths, since COCO's
polygons have no holes. Category ids are class ids plus 1, since COCO reserves 0 for the background; an import
goes by the categories' names.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from tsfal_geo.classes import IGNORE, ClassMap
from tsfal_geo.errors import LabelError
from tsfal_geo.geopackage.layers import LayerRows
from tsfal_geo.labels.exchange.options import ImportOptions
from tsfal_geo.labels.issues import Issues
from tsfal_geo.labels.model import Label, now, stamp
from tsfal_geo.labels.polygonise import region_polygon, to_ground
from tsfal_geo.labels.rasterise import PolygonLabels
from tsfal_geo.labels.store import LabelStore
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.layer_crs import flip_y, scene_crs, stores_flipped_y, to_pixels
from tsfal_geo.raster.scene import Scene

_PARTS = ("images", "annotations", "categories")


def coco(labels: Sequence[Label], scenes: Sequence[Scene], classes: ClassMap) -> dict[str, Any]:
    """Describe labels as a COCO detection data set.

    Args:
        labels: oldest first.
        scenes: the scenes.
        classes: the class map.

    Returns:
        The data set as JSON values.
    """
    order = {scene.name: position for position, scene in enumerate(scenes)}
    return {
        "info": {"description": "tsfal-geo labels"},
        "images": [
            {"id": position + 1, "file_name": scene.path.name, "height": scene.height, "width": scene.width}
            for position, scene in enumerate(scenes)
        ],
        "categories": [{"id": info.id + 1, "name": info.name} for info in classes.classes],
        "annotations": [
            _annotation(number, label, scenes[order[label.scene]], order[label.scene] + 1, classes)
            for number, label in enumerate(labels, start=1)
        ],
    }


def read_coco(
    path: Path, store: LabelStore, options: ImportOptions, issues: Issues
) -> list[LayerRows] | None:
    """Read the annotations of a COCO data set, image by image.

    Args:
        path: the file.
        store: the label store; an image is the scene of the same file name, or of the same stem.
        options: of the import.
        issues: takes the annotations that cannot be used.

    Returns:
        The annotations of each scene, with the categories' names in the column ``class_id``; None where the
        file is JSON of another kind.

    Raises:
        LabelError: the file is damaged.
    """
    try:
        data = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise LabelError(f"{path}: not readable as JSON ({error})") from None
    if not isinstance(data, dict) or not all(isinstance(data.get(part), list) for part in _PARTS):
        return None
    try:
        names = {item["id"]: str(item["name"]) for item in data["categories"]}
        images = {item["id"]: item for item in data["images"]}
        by_image: dict[Any, list[tuple[int, dict[str, Any]]]] = {}
        for number, item in enumerate(data["annotations"], start=1):
            by_image.setdefault(item["image_id"], []).append((number, item))
        scenes = {key: _scene(images[key], store, options) for key in by_image}
    except (KeyError, TypeError) as error:
        raise LabelError(f"{path}: not readable as COCO (missing or damaged: {error})") from None
    found = []
    for key, items in by_image.items():
        scene = scenes[key]
        if isinstance(scene, str):
            issues.reject(scene, *(number for number, _ in items))
        else:
            found.append(_rows(items, scene, names, options, issues))
    return found


def _scene(image: dict[str, Any], store: LabelStore, options: ImportOptions) -> Scene | str:
    """Find an image's scene, or say why it has none."""
    file = str(image["file_name"]).replace("\\", "/").rsplit("/", 1)[-1]
    scene = next((each for each in store.scenes.values() if each.path.name == file), None)
    scene = scene or store.scenes.get(options.scene or Path(file).stem)
    if scene is None:
        return f"image {file!r} is no scene"
    size = image.get("height", scene.height), image.get("width", scene.width)
    if size != scene.shape:
        return f"image {file!r} has {size[1]} x {size[0]} pixels, its scene {scene.width} x {scene.height}"
    return scene


def _rows(
    items: list[tuple[int, dict[str, Any]]],
    scene: Scene,
    names: dict[Any, str],
    options: ImportOptions,
    issues: Issues,
) -> LayerRows:
    numbers, shapes, kept = [], [], []
    for number, item in items:
        try:
            shapes.append(_shape(item.get("segmentation"), scene))
        except (ValueError, TypeError, KeyError, shapely.errors.ShapelyError, LabelError) as error:
            issues.reject(f"a segmentation that cannot be read ({' '.join(str(error).split())[:80]})", number)
            continue
        numbers.append(number)
        kept.append(item)
    geometry = np.array([None, *shapes], dtype=object)[1:]
    time = now()
    return LayerRows(
        layer=scene.name,
        crs=scene_crs(scene),
        fids=numbers,
        geometry=np.asarray(flip_y(geometry), dtype=object) if stores_flipped_y(scene) else geometry,
        columns={
            "class_id": [names.get(item.get("category_id"), item.get("category_id")) for item in kept],
            "scene": [scene.name] * len(kept),
            "author": [options.author or item.get("author") for item in kept],
            "created": [item.get("created") or time for item in kept],
        },
    )


def _shape(segmentation: Any, scene: Scene) -> shapely.Geometry:
    if isinstance(segmentation, dict):
        counts = segmentation["counts"]
        if isinstance(counts, str):
            raise ValueError("compressed run lengths, expected a list of counts; decode it with pycocotools")
        if tuple(segmentation["size"]) != scene.shape:
            raise ValueError(f"run lengths of size {segmentation['size']}, expected {list(scene.shape)}")
        return _decoded(np.asarray(counts, dtype=np.int64), scene)
    rings = [np.asarray(ring, dtype=np.float64).reshape(-1, 2) for ring in segmentation]
    if not np.isfinite(np.concatenate(rings)).all():
        raise ValueError("coordinates that are not numbers")
    shape = shapely.MultiPolygon([shapely.Polygon(ring) for ring in rings])
    return shapely.transform(shape, lambda corners: to_ground(corners, scene.grid))


def _decoded(counts: NDArray[np.int64], scene: Scene) -> shapely.Geometry:
    """Trace the region of run lengths, column by column, of which every second is inside."""
    if (counts < 0).any() or counts.sum() != scene.height * scene.width:
        raise ValueError("run lengths that do not add up to the image")
    ends = np.cumsum(counts)
    first = int(ends[0]) // scene.height
    last = int(ends[len(ends) // 2 * 2 - 1] - 1) // scene.height
    inside = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    mask = inside[first * scene.height : (last + 1) * scene.height].reshape(-1, scene.height).T
    return region_polygon(np.ascontiguousarray(mask), scene.grid, 0, first)


def _annotation(number: int, label: Label, scene: Scene, image: int, classes: ClassMap) -> dict[str, Any]:
    shape = to_pixels(label.geometry, scene)
    parts = shapely.get_parts(shape)
    holes = bool(shapely.get_num_interior_rings(parts).any())
    left, top, right, bottom = shape.bounds
    corners = [np.asarray(part.exterior.coords)[:-1].ravel().tolist() for part in parts]
    return {
        "id": number,
        "image_id": image,
        "category_id": label.class_id + 1,
        "iscrowd": int(holes),
        "area": float(shape.area),
        "bbox": [left, top, right - left, bottom - top],
        "segmentation": _run_lengths(label, scene, classes) if holes else corners,
        "author": label.author,
        "created": stamp(label.created),
    }


def _run_lengths(label: Label, scene: Scene, classes: ClassMap) -> dict[str, Any]:
    reader = PolygonLabels([label], [scene], classes)
    flat = (reader.read(Window(0, 0, 0, scene.height, scene.width)) != IGNORE).ravel(order="F")
    ends = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.concatenate(([0], ends, [flat.size]))).tolist()
    return {"size": [scene.height, scene.width], "counts": [0, *runs] if flat[0] else runs}
