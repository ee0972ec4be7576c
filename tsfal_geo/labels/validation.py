"""Validation of label rows: a label needs a scene, a class and a valid polygon.

Annotators and their programs write rows freely. A row that cannot be used, or that is changed before use, is
an issue, which is reported with its file and row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon

from tsfal_geo.classes import ClassMap
from tsfal_geo.errors import LabelError
from tsfal_geo.geopackage.layers import LayerRows
from tsfal_geo.labels.datum import shift_accuracy
from tsfal_geo.labels.footprints import with_area
from tsfal_geo.labels.issues import Issues
from tsfal_geo.labels.model import SOURCES, STATUSES, Decision, Label, Scenes
from tsfal_geo.labels.repair import clean_geometries
from tsfal_geo.raster.layer_crs import flip_y, reproject, same_crs, scene_crs, stores_flipped_y, to_pixels
from tsfal_geo.raster.scene import Scene

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ROUNDS = range(10**6)  # rounds that a row may name


def check_labels(labels: Iterable[Label], scenes: Scenes, classes: ClassMap) -> None:
    """Refuse labels that a store must not hold.

    Args:
        labels: labels that are about to be written.
        scenes: the training scenes, by name.
        classes: the class map.

    Raises:
        LabelError: an unknown scene or class, or a geometry that is no polygon, line or point.
    """
    class_ids = {int(value) for value in classes.ids}
    for item in labels:
        if item.scene not in scenes:
            raise LabelError(f"a label is on scene {item.scene!r}, expected one of {', '.join(scenes)}")
        if item.class_id not in class_ids:
            raise LabelError(f"a label is of class {item.class_id}, expected one of {sorted(class_ids)}")
        if item.geometry.is_empty or item.geometry.geom_type == "GeometryCollection":
            kind = f"{'empty ' if item.geometry.is_empty else ''}{item.geometry.geom_type}"
            raise LabelError(f"a label is of type {kind}, expected a polygon, line or point")
        if with_area(np.array([item.geometry]), scenes[item.scene], None)[0] is None:
            raise LabelError(f"a label lies beyond its scene {item.scene!r}")


@dataclass(frozen=True)
class ValidationContext:
    """Scenes, classes and defaults that rows are validated with.

    Attributes:
        scenes: the scenes, by name.
        classes: the class map.
        query_scene: returns the scene of a query, or None; called only for rows with a query and no scene.
        author: author of rows that name none.
        radius: metres around a point that a row labels; None: the pixel that contains it.
    """

    scenes: Mapping[str, Scene]
    classes: ClassMap
    query_scene: Callable[[str], str | None]
    author: str = ""
    radius: float | None = None


def resolve_labels(rows: LayerRows, context: ValidationContext, issues: Issues) -> list[Label]:
    """Validate the rows of one layer; a row without a scene gives a label for each scene that it touches.

    Points and lines become the area of the pixels that they label; see `labels.footprints`.

    Args:
        rows: all rows of the layer.
        context: scenes, classes and defaults.
        issues: takes the issues of the rows.

    Returns:
        The labels, scene by scene; geometries in their scene's CRS.
    """
    for note, fids in rows.notes:
        issues.note(note, *fids)
    geometry = clean_geometries(rows, issues)
    class_ids = _classes(rows, context, geometry, issues)
    usable = np.flatnonzero(class_ids >= 0)
    rows_of_scene = _rows_by_scene(rows, usable, context, issues)
    labels: list[Label] = []
    inside_any: set[int] = set()
    for scene_name, candidates in rows_of_scene.items():
        scene = context.scenes[scene_name]
        indices = np.asarray(candidates)
        moved, inside = _to_scene(scene, geometry[indices], rows, indices, context, issues)
        inside_any.update(indices[inside].tolist())
        labels += [
            _label(rows, int(index), scene_name, int(class_ids[index]), shape, context, issues)
            for index, shape in zip(indices[inside], moved[inside], strict=True)
        ]
    outside = {index for candidates in rows_of_scene.values() for index in candidates} - inside_any
    for index in sorted(outside):
        issues.reject("outside every scene", rows.fids[index])
    return labels


def resolve_decisions(rows: Sequence[dict[str, object]], author: str, issues: Issues) -> list[Decision]:
    """Validate the rows of one table of decisions.

    Args:
        rows: the rows by column.
        author: author of rows that name none.
        issues: takes the issues of the rows.
    """
    decisions = []
    for position, row in enumerate(rows, start=1):
        fid = _integer(row.get("fid")) or position
        status = row.get("status")
        if not row.get("qid") or status not in STATUSES:
            issues.reject(f"a decision of status {status!r} on query {row.get('qid')!r}", fid)
            continue
        created = parse_time(row.get("created"))
        decisions.append(
            Decision(
                qid=str(row["qid"]),
                round=_round(row.get("round"), fid, issues) or 0,
                status=str(status),
                author=str(row.get("author") or author),
                created=created or EPOCH,
            )
        )
    return decisions


def parse_time(value: object) -> datetime | None:
    """Parse a time.

    Args:
        value: a datetime or ISO 8601 text; UTC where it names no time zone.

    Returns:
        The time in UTC, to the millisecond; None where the value is no time between the years 1 and 9999.
    """
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def in_order(labels: list[Label]) -> tuple[Label, ...]:
    """Sort labels, oldest first; the order does not depend on the order in which files were read.

    Args:
        labels: any labels.
    """
    return tuple(sorted(labels, key=lambda label: (label.created, label.file, label.fid, label.scene)))


def decisions_in_order(decisions: list[Decision]) -> tuple[Decision, ...]:
    """Sort decisions, oldest first.

    Args:
        decisions: any decisions.
    """
    return tuple(sorted(decisions, key=lambda item: (item.created, item.author, item.round, item.qid)))


def _classes(
    rows: LayerRows, context: ValidationContext, geometry: NDArray[np.object_], issues: Issues
) -> NDArray[np.int64]:
    valid_ids = {int(value) for value in context.classes.ids}
    class_ids = np.full(len(rows.fids), -1, dtype=np.int64)
    for index, value in enumerate(rows.column("class_id")):
        if geometry[index] is None:
            continue
        number = _integer(value)
        if number in valid_ids:
            class_ids[index] = number
        else:
            reason = "no class" if value is None else f"unknown class {str(value)[:40]!r}"
            issues.reject(reason, rows.fids[index])
    return class_ids


def _rows_by_scene(
    rows: LayerRows, usable: NDArray[np.intp], context: ValidationContext, issues: Issues
) -> dict[str, list[int]]:
    """Group the indices of rows by the scenes on which they may be."""
    named, queries = rows.column("scene"), rows.column("qid")
    candidates = [
        name for name, scene in context.scenes.items() if (scene_crs(scene) is None) == (rows.crs is None)
    ]
    by_scene: dict[str, list[int]] = {}
    for index in usable.tolist():
        name = named[index] or (context.query_scene(str(queries[index])) if queries[index] else None)
        if name is not None and name not in context.scenes:
            issues.reject(f"unknown scene {name!r}", rows.fids[index])
        elif name is not None and name not in candidates:
            issues.reject(f"scene {name!r} and the layer differ in having a CRS", rows.fids[index])
        elif name is not None:
            by_scene.setdefault(str(name), []).append(index)
        elif rows.crs is None and len(candidates) > 1:
            issues.reject("no scene named, and several have no CRS", rows.fids[index])
        elif not candidates:
            issues.reject(
                "the layer has no CRS" if rows.crs is None else "no scene has a CRS", rows.fids[index]
            )
        else:
            for candidate in candidates:
                by_scene.setdefault(candidate, []).append(index)
    return by_scene


def _to_scene(
    scene: Scene,
    geometry: NDArray[np.object_],
    rows: LayerRows,
    indices: NDArray[np.intp],
    context: ValidationContext,
    issues: Issues,
) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """Return geometries in the scene's CRS, and a mask of those that touch the scene's pixels."""
    crs = scene_crs(scene)
    foreign = not same_crs(rows.crs, crs)
    if foreign and rows.crs is not None and crs is not None:
        geometry = reproject(geometry, rows.crs, crs)
    elif stores_flipped_y(scene):
        geometry = np.asarray(flip_y(geometry), dtype=object)
    geometry = with_area(geometry, scene, context.radius)
    left, top, right, bottom = np.asarray(shapely.bounds(to_pixels(geometry, scene))).reshape(-1, 4).T
    inside = (right > 0) & (left < scene.width) & (bottom > 0) & (top < scene.height)
    if foreign and inside.any():
        accuracy = "" if rows.crs is None or crs is None else shift_accuracy(rows.crs, scene)
        note = f"in another CRS, reprojected {accuracy}".rstrip()
        issues.note(note, *(rows.fids[index] for index in indices[inside]))
    # Pixel centres lie at halves: a box without a half on one axis contains none.
    thin = (np.floor(right - 0.5) < np.ceil(left - 0.5)) | (np.floor(bottom - 0.5) < np.ceil(top - 0.5))
    for index in indices[inside & thin]:
        issues.note("covers no pixel's centre", rows.fids[index])
    return geometry, inside


def _label(
    rows: LayerRows,
    index: int,
    scene: str,
    class_id: int,
    geometry: Polygon | MultiPolygon,
    context: ValidationContext,
    issues: Issues,
) -> Label:
    fid = rows.fids[index]
    created = parse_time(rows.column("created")[index])
    if created is None:
        issues.note("no time; counts as the oldest", fid)
    elif created > datetime.now(UTC) + timedelta(days=1):
        issues.note("a time in the future", fid)
    qid, source = rows.column("qid")[index], rows.column("source")[index]
    return Label(
        scene=scene,
        class_id=class_id,
        geometry=geometry,
        qid=str(qid) if qid else None,
        round=_round(rows.column("round")[index], fid, issues),
        author=str(rows.column("author")[index] or context.author),
        created=created or EPOCH,
        source=str(source) if source in SOURCES else "drawn",
        file=issues.file,
        fid=fid,
    )


def _round(value: object, fid: int, issues: Issues) -> int | None:
    number = _integer(value)
    if value is not None and number not in _ROUNDS:
        issues.note(f"round {str(value)[:20]!r} is none, and counts as unknown", fid)
        return None
    return number


def _integer(value: object) -> int | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return int(number) if number.is_integer() else None
