"""From rows as people left them to labels that can train: on a scene, with a class and a valid polygon.

Whatever cannot be used, or is used otherwise than as it stands, is reported with its file and row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import shapely
from shapely import MultiPolygon, Polygon

from tsfal_geo.classes import ClassMap
from tsfal_geo.errors import LabelError
from tsfal_geo.geopackage.connection import LayerRows
from tsfal_geo.labels.model import SOURCES, STATUSES, Decision, Issue, Label, Scenes
from tsfal_geo.raster.layer_crs import flip_y, reproject, same_crs, scene_crs, stores_flipped_y, to_pixels
from tsfal_geo.raster.scene import Scene


def check_labels(labels: Iterable[Label], scenes: Scenes, classes: ClassMap) -> None:
    """Refuse labels that the engine itself should never write.

    Raises:
        LabelError: unknown scene or class, or not a valid polygon.
    """
    known = {int(value) for value in classes.ids}
    for item in labels:
        if item.scene not in scenes:
            raise LabelError(f"a label is on scene {item.scene!r}, expected one of {', '.join(scenes)}")
        if item.class_id not in known:
            raise LabelError(f"a label is of class {item.class_id}, expected one of {sorted(known)}")
        if item.geometry.geom_type not in ("Polygon", "MultiPolygon") or item.geometry.is_empty:
            raise LabelError(f"a label is a {item.geometry.geom_type}, expected a polygon with an area")


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_POLYGON, _MULTIPOLYGON, _COLLECTION = 3, 6, 7


class Issues:
    """Gathers what is to be reported of one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._rejected: dict[str, list[int]] = {}
        self._noted: dict[str, list[int]] = {}

    def reject(self, reason: str, *fids: int) -> None:
        """These rows (or, without rows, the file) cannot be used."""
        self._rejected.setdefault(reason, []).extend(fids)

    def note(self, reason: str, *fids: int) -> None:
        """These rows are used, though not as they stand."""
        self._noted.setdefault(reason, []).extend(fids)

    @property
    def rejected(self) -> tuple[Issue, ...]:
        """What was rejected, by reason."""
        return self._gathered(self._rejected)

    @property
    def notes(self) -> tuple[Issue, ...]:
        """What was noted, by reason."""
        return self._gathered(self._noted)

    def _gathered(self, found: dict[str, list[int]]) -> tuple[Issue, ...]:
        return tuple(Issue(self.file, reason, tuple(fids)) for reason, fids in found.items())


@dataclass(frozen=True)
class ValidationContext:
    """What rows are checked against.

    Attributes:
        scenes: by name.
        classes: the class map.
        query_scene: scene of a query, or None; asked only for rows that name a query and no scene.
        author: for rows without one.
    """

    scenes: Mapping[str, Scene]
    classes: ClassMap
    query_scene: Callable[[str], str | None]
    author: str = ""


def resolve_labels(rows: LayerRows, context: ValidationContext, issues: Issues) -> list[Label]:
    """Labels of one layer; a row without a scene gives one for each scene that it touches."""
    geometry = clean_geometries(rows, issues)
    class_ids = _classes(rows, context, geometry, issues)
    usable = np.flatnonzero(class_ids >= 0)
    placed = _places(rows, usable, context, issues)
    labels: list[Label] = []
    landed: set[int] = set()
    for scene_name, wanted in placed.items():
        scene = context.scenes[scene_name]
        indices = np.asarray(wanted)
        moved, inside = _onto(scene, geometry[indices], rows, indices, issues)
        landed.update(indices[inside].tolist())
        labels += [
            _label(rows, int(index), scene_name, int(class_ids[index]), shape, context, issues)
            for index, shape in zip(indices[inside], moved[inside], strict=True)
        ]
    outside = {int(index) for wanted in placed.values() for index in wanted} - landed
    for index in sorted(outside):
        issues.reject("outside every scene", rows.fids[index])
    return labels


def clean_geometries(rows: LayerRows, issues: Issues) -> np.ndarray:
    """Valid polygons and multipolygons; None (and a issue) for the others."""
    geometry = np.array(rows.geometry, dtype=object)
    fids = np.asarray(rows.fids, dtype=object)
    faults = [(geometry == None, "no geometry, or an empty one")]  # noqa: E711
    kinds = shapely.get_type_id(geometry)
    odd = ~np.isin(kinds, (_POLYGON, _MULTIPOLYGON, _COLLECTION, -1))
    faults.append((odd, "not a polygon"))
    infinite = ~faults[0][0] & ~np.isfinite(shapely.bounds(geometry)).all(axis=1)
    faults.append((infinite & ~odd, "coordinates that are not numbers"))
    for which, reason in faults:
        if which.any():
            issues.reject(reason, *fids[which])
            geometry[which] = None
    wrong = np.flatnonzero((geometry != None) & ~(shapely.is_valid(geometry) & (kinds != _COLLECTION)))  # noqa: E711
    for index in wrong:
        reason = shapely.is_valid_reason(geometry[index]).split("[")[0].lower()
        geometry[index] = repaired(geometry[index])
        if geometry[index] is None:
            issues.reject(f"invalid and beyond repair ({reason})", rows.fids[index])
        else:
            issues.note(f"invalid, repaired ({reason})", rows.fids[index])
    return geometry


def repaired(geometry: shapely.Geometry) -> Polygon | MultiPolygon | None:
    """The area that an invalid polygon covers, or None if it covers none."""
    parts = shapely.get_parts(shapely.get_parts(shapely.make_valid(geometry)))
    areas = [part for part in parts if isinstance(part, Polygon) and part.area > 0]
    if not areas:
        return None
    return areas[0] if len(areas) == 1 else MultiPolygon(areas)


def resolve_decisions(rows: Sequence[dict[str, object]], author: str, issues: Issues) -> list[Decision]:
    """Decisions of one file."""
    decisions = []
    for position, row in enumerate(rows, start=1):
        fid = row.get("fid") or position
        status = row.get("status")
        if not row.get("qid") or status not in STATUSES:
            issues.reject(f"a decision of status {status!r} on query {row.get('qid')!r}", int(str(fid)))
            continue
        created = parse_time(row.get("created"))
        decisions.append(
            Decision(
                qid=str(row["qid"]),
                round=_whole(row.get("round")) or 0,
                status=str(status),
                author=str(row.get("author") or author),
                created=created or EPOCH,
            )
        )
    return decisions


def parse_time(value: object) -> datetime | None:
    """A time in UTC, to the millisecond; None where there is none or it makes no sense."""
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return None
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def in_order(labels: list[Label]) -> tuple[Label, ...]:
    """Oldest first; the same order whatever the order of reading."""
    return tuple(sorted(labels, key=lambda label: (label.created, label.file, label.fid, label.scene)))


def decisions_in_order(decisions: list[Decision]) -> tuple[Decision, ...]:
    """Oldest first."""
    return tuple(sorted(decisions, key=lambda item: (item.created, item.author, item.round, item.qid)))


def _classes(rows: LayerRows, context: ValidationContext, geometry: np.ndarray, issues: Issues) -> np.ndarray:
    known = {int(value) for value in context.classes.ids}
    class_ids = np.full(len(rows.fids), -1, dtype=np.int64)
    for index, value in enumerate(rows.column("class_id")):
        if geometry[index] is None:
            continue
        number = _whole(value)
        if number in known:
            class_ids[index] = number
        else:
            reason = "no class" if value is None else f"unknown class {value!r}"
            issues.reject(reason, rows.fids[index])
    return class_ids


def _places(
    rows: LayerRows, usable: np.ndarray, context: ValidationContext, issues: Issues
) -> dict[str, list[int]]:
    """Indices of rows by the scene they may be on."""
    named, queries = rows.column("scene"), rows.column("qid")
    alike = [
        name for name, scene in context.scenes.items() if (scene_crs(scene) is None) == (rows.crs is None)
    ]
    placed: dict[str, list[int]] = {}
    for index in usable.tolist():
        name = named[index] or (context.query_scene(str(queries[index])) if queries[index] else None)
        if name is not None and name not in context.scenes:
            issues.reject(f"unknown scene {name!r}", rows.fids[index])
        elif name is not None and name not in alike:
            issues.reject(f"scene {name!r} and the layer differ in having a CRS", rows.fids[index])
        elif name is not None:
            placed.setdefault(str(name), []).append(index)
        elif rows.crs is None and len(alike) > 1:
            issues.reject("no scene named, and several have no CRS", rows.fids[index])
        elif not alike:
            issues.reject(
                "the layer has no CRS" if rows.crs is None else "no scene has a CRS", rows.fids[index]
            )
        else:
            for candidate in alike:
                placed.setdefault(candidate, []).append(index)
    return placed


def _onto(
    scene: Scene, geometry: np.ndarray, rows: LayerRows, indices: np.ndarray, issues: Issues
) -> tuple[np.ndarray, np.ndarray]:
    """Geometries in the scene's CRS, and which of them touch the scene's pixels."""
    crs = scene_crs(scene)
    foreign = not same_crs(rows.crs, crs)
    if foreign and rows.crs is not None and crs is not None:
        geometry = reproject(geometry, rows.crs, crs)
    elif stores_flipped_y(scene):
        geometry = np.asarray(flip_y(geometry), dtype=object)
    left, top, right, bottom = np.asarray(shapely.bounds(to_pixels(geometry, scene))).reshape(-1, 4).T
    inside = (right > 0) & (left < scene.width) & (bottom > 0) & (top < scene.height)
    if foreign and inside.any():
        issues.note("in another CRS, reprojected", *(rows.fids[index] for index in indices[inside]))
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
        issues.note("no time; taken as the oldest", fid)
    elif created > datetime.now(UTC) + timedelta(days=1):
        issues.note("a time in the future", fid)
    qid, source = rows.column("qid")[index], rows.column("source")[index]
    return Label(
        scene=scene,
        class_id=class_id,
        geometry=geometry,
        qid=str(qid) if qid else None,
        round=_whole(rows.column("round")[index]),
        author=str(rows.column("author")[index] or context.author),
        created=created or EPOCH,
        source=str(source) if source in SOURCES else "drawn",
        file=issues.file,
        fid=fid,
    )


def _whole(value: object) -> int | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return int(number) if number.is_integer() else None
