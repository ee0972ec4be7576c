"""The values of the label store: queries, labels, decisions, and a snapshot of them all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

import numpy as np
import shapely
from shapely import MultiPolygon, Polygon

from tsfal_geo.raster.layer_crs import flip_y, layer_crs, layer_of, scene_crs, stores_flipped_y
from tsfal_geo.raster.scene import Scene

Scenes = Mapping[str, Scene]


class OnScene(Protocol):
    """A thing with a polygon on a scene: a label or a query."""

    @property
    def scene(self) -> str:
        """Name of the scene."""
        ...

    @property
    def geometry(self) -> shapely.Geometry:
        """Polygon on it."""
        ...


def by_layer[T: OnScene](items: Iterable[T], scenes: Scenes, base: str) -> Iterator[tuple[str, list[T]]]:
    """Things by the layer that has their scene's CRS."""
    layers = layer_crs(scenes.values(), base)
    layer_by_scene = {name: layer_of(scene_crs(scene), layers) or base for name, scene in scenes.items()}
    groups: dict[str, list[T]] = {}
    for item in items:
        groups.setdefault(layer_by_scene[item.scene], []).append(item)
    yield from groups.items()


def stored_geometries(items: Sequence[OnScene], scenes: Scenes) -> np.ndarray:
    """Geometries as they are stored: in the scene's CRS; with y = -row where it has none."""
    return np.array(
        [flip_y(item.geometry) if stores_flipped_y(scenes[item.scene]) else item.geometry for item in items],
        dtype=object,
    )


SOURCES = ("drawn", "filled", "brushed", "accepted", "imported", "oracle")
STATUSES = ("done", "skipped", "unsure")


def now() -> datetime:
    """The time in UTC, to the millisecond: what a GeoPackage can hold."""
    time = datetime.now(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


@dataclass(frozen=True)
class Query:
    """A region that a person is asked to label.

    Attributes:
        qid: its name, unique in the workspace.
        round: the round that asked it.
        scene: name of the scene.
        chip: name of the chip, for people.
        rank: 1 is the most worth asking.
        score: what the strategy ranked it by.
        reason: why it is asked, in a word or two.
        suggested: class id that the refinement proposes.
        pixels: number of pixels in it.
        geometry: polygon along pixel edges, in the scene's CRS (grid coordinates where it has none).
    """

    qid: str
    round: int
    scene: str
    chip: str
    rank: int
    score: float
    reason: str
    suggested: int
    pixels: int
    geometry: Polygon | MultiPolygon


@dataclass(frozen=True)
class Label:
    """What a person, or the oracle, said about the pixels of a polygon.

    Attributes:
        scene: name of the scene it holds for.
        class_id: class id, not class index.
        geometry: in the scene's CRS (grid coordinates where it has none).
        qid: the query it answers, if any.
        round: the round in which it was made, if known.
        author: who made it; any text.
        created: when, in UTC.
        source: one of ``SOURCES``.
        file: name of the file it was read from; empty for a new one.
        fid: its row there.
    """

    scene: str
    class_id: int
    geometry: Polygon | MultiPolygon
    qid: str | None = None
    round: int | None = None
    author: str = ""
    created: datetime = field(default_factory=now)
    source: str = "drawn"
    file: str = ""
    fid: int = 0

    @property
    def key(self) -> str:
        """Fingerprint of what is said, by whom and when; the same wherever the row is kept."""
        return label_keys([self])[0]


@dataclass(frozen=True)
class Decision:
    """What a person said about a query: ``done``, ``skipped`` or ``unsure``."""

    qid: str
    round: int
    status: str
    author: str = ""
    created: datetime = field(default_factory=now)

    @property
    def key(self) -> str:
        """Fingerprint, as ``Label.key``."""
        parts = ("decision", self.qid, self.round, self.status, self.author, stamp(self.created))
        return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class Issue:
    """Rows of one file of which the same is to be said.

    Attributes:
        file: name of the file (or table).
        reason: what was found.
        fids: the rows; empty if it is said of the file as a whole.
    """

    file: str
    reason: str
    fids: tuple[int, ...] = ()

    def __str__(self) -> str:
        if not self.fids:
            return f"{self.file}: {self.reason}"
        shown = ", ".join(str(fid) for fid in self.fids[:10])
        more = f" and {len(self.fids) - 10} more" if len(self.fids) > 10 else ""
        return f"{self.file}: {self.reason} (row{'s' if len(self.fids) > 1 else ''} {shown}{more})"


@dataclass(frozen=True)
class LabelSnapshot:
    """Everything committed to the store at one moment.

    Attributes:
        labels: oldest first; where polygons overlap, the later one holds.
        decisions: oldest first.
        rejected: rows that cannot be used, and why.
        notes: rows that are used otherwise than as they stand (repaired, reprojected …).
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
    """A time as GeoPackages write it: ISO 8601, UTC, milliseconds."""
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def label_keys(labels: Sequence[Label]) -> list[str]:
    """``Label.key`` of many labels."""
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
