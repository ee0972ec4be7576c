"""The values of the label store: queries, labels, decisions, and a snapshot of them all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon

from tsfal_geo.labels.footprints import has_no_area, with_area
from tsfal_geo.labels.issues import Issue
from tsfal_geo.raster.layer_crs import flip_y, layer_crs, layer_of, scene_crs, stores_flipped_y
from tsfal_geo.raster.scene import Scene

Scenes = Mapping[str, Scene]


class OnScene(Protocol):
    """A value with a polygon on a scene: a label, a query, or a reference sample."""

    @property
    def scene(self) -> str:
        """Name of the scene."""
        ...

    @property
    def geometry(self) -> shapely.Geometry:
        """Polygon on it."""
        ...


def by_layer[T: OnScene](items: Iterable[T], scenes: Scenes, base: str) -> Iterator[tuple[str, list[T]]]:
    """Group labels or queries by the layer that has their scene's CRS.

    Args:
        items: labels or queries, each on one of the scenes.
        scenes: all scenes of the workspace, by name.
        base: name of the first layer; see `raster.layer_crs.layer_crs`.

    Yields:
        The name of a layer and its items, in their order.
    """
    layers = layer_crs(scenes.values(), base)
    layer_by_scene = {name: layer_of(scene_crs(scene), layers) or base for name, scene in scenes.items()}
    groups: dict[str, list[T]] = {}
    for item in items:
        groups.setdefault(layer_by_scene[item.scene], []).append(item)
    yield from groups.items()


def stored_geometries(items: Sequence[OnScene], scenes: Scenes) -> NDArray[np.object_]:
    """Return geometries as a store holds them: in the scene's CRS; with y = -row where it has none.

    Points and lines are held as the area of the pixels that they label.

    Args:
        items: labels or queries.
        scenes: all scenes of the workspace, by name.

    Returns:
        (items,) geometries.
    """
    shapes = np.array([item.geometry for item in items], dtype=object)
    for index in np.flatnonzero(has_no_area(shapes)).tolist():
        shapes[index : index + 1] = with_area(shapes[index : index + 1], scenes[items[index].scene], None)
    flipped = [index for index, item in enumerate(items) if stores_flipped_y(scenes[item.scene])]
    shapes[flipped] = flip_y(shapes[flipped])
    return shapes


SOURCES = ("drawn", "filled", "brushed", "accepted", "imported", "oracle")
STATUSES = ("done", "skipped", "unsure")


def now() -> datetime:
    """Return the time in UTC, to the millisecond, which is what a GeoPackage can hold."""
    time = datetime.now(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


@dataclass(frozen=True)
class Query:
    """A region that annotators are asked to label.

    Attributes:
        qid: name of the query, unique in the workspace.
        round: the round that selected it.
        scene: name of the scene.
        chip: name of the chip, as annotators see it.
        rank: 1 for the query that the strategy prefers to all others.
        score: score by which the strategy ranks.
        reason: why the strategy selects it, in a word or two.
        suggested: class id that the refinement proposes; None where no model has looked.
        pixels: number of pixels in the region.
        geometry: polygon along pixel edges, in the scene's CRS (grid coordinates where it has none).
    """

    qid: str
    round: int
    scene: str
    chip: str
    rank: int
    score: float
    reason: str
    suggested: int | None
    pixels: int
    geometry: Polygon | MultiPolygon


@dataclass(frozen=True)
class Label:
    """The class that an annotator, or the oracle, gave to the pixels of a polygon.

    Attributes:
        scene: name of the scene.
        class_id: class id, not class index.
        geometry: in the scene's CRS (grid coordinates where it has none); a point or a line labels the pixels
            that it touches.
        qid: the query that the label answers, if any.
        round: the round in which the label was made; None: unknown.
        author: the annotator; any text.
        created: time of its creation, in UTC.
        source: one of ``SOURCES``.
        file: name of the file that holds the label; empty for a new one.
        fid: row in that file.
    """

    scene: str
    class_id: int
    geometry: shapely.Geometry
    qid: str | None = None
    round: int | None = None
    author: str = ""
    created: datetime = field(default_factory=now)
    source: str = "drawn"
    file: str = ""
    fid: int = 0

    @property
    def key(self) -> str:
        """Fingerprint of content, author and time; the same in every file that holds the row."""
        return label_keys([self])[0]


@dataclass(frozen=True)
class Decision:
    """An annotator's decision on a query.

    Attributes:
        qid: the query.
        round: the query's round.
        status: ``done``, ``skipped`` or ``unsure``.
        author: the annotator.
        created: time of the decision, in UTC.
    """

    qid: str
    round: int
    status: str
    author: str = ""
    created: datetime = field(default_factory=now)

    @property
    def key(self) -> str:
        """Fingerprint of content, author and time, as ``Label.key``."""
        parts = ("decision", self.qid, self.round, self.status, self.author, stamp(self.created))
        return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class LabelSnapshot:
    """All labels and decisions of a store at one moment.

    Attributes:
        labels: oldest first; where polygons overlap, the later one holds.
        decisions: oldest first.
        rejected: rows that cannot be used, with the reason.
        notes: rows that were changed before use (repaired, reprojected …), with the change.
    """

    labels: tuple[Label, ...]
    decisions: tuple[Decision, ...]
    rejected: tuple[Issue, ...] = ()
    notes: tuple[Issue, ...] = ()

    @property
    def answered(self) -> frozenset[str]:
        """Queries with a decision, or with a label that names them."""
        decided = {decision.qid for decision in self.decisions}
        return frozenset(decided | {label.qid for label in self.labels if label.qid})


def stamp(time: datetime) -> str:
    """Return a time as GeoPackages hold it: ISO 8601, UTC, milliseconds.

    Args:
        time: in any time zone.
    """
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def label_keys(labels: Sequence[Label]) -> list[str]:
    """Return ``Label.key`` of many labels; faster than one by one.

    Args:
        labels: any labels.
    """
    parts, owner = shapely.get_parts([label.geometry for label in labels], return_index=True)
    shapes = shapely.to_wkb(shapely.multipolygons(parts, indices=owner), byte_order=1)
    return [
        hashlib.blake2b(repr(_content(label)).encode() + shape, digest_size=16).hexdigest()
        for label, shape in zip(labels, shapes, strict=True)
    ]


def _content(label: Label) -> tuple[object, ...]:
    return (
        label.scene,
        label.class_id,
        label.qid,
        label.round,
        label.author,
        label.source,
        stamp(label.created),
    )
