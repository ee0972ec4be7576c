"""The label store: one interface for the GeoPackages of a workspace and for a PostGIS schema."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import shapely
from shapely import MultiPolygon, Polygon

from tsfal_geo.classes import ClassMap
from tsfal_geo.errors import LabelError
from tsfal_geo.raster.scene import Scene

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
class Finding:
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
    rejected: tuple[Finding, ...] = ()
    notes: tuple[Finding, ...] = ()

    @property
    def answered(self) -> frozenset[str]:
        """Queries with a decision, or with a label that names them."""
        decided = {decision.qid for decision in self.decisions}
        return frozenset(decided | {label.qid for label in self.labels if label.qid})


class LabelStore(ABC):
    """Queries out, labels and decisions in. What people write, the engine only reads."""

    def __init__(self, root: Path, classes: ClassMap, scenes: Sequence[Scene]) -> None:
        self.root = Path(root)
        self.classes = classes
        self.scenes = {scene.name: scene for scene in scenes}

    @abstractmethod
    def write_queries(self, number: int, queries: Sequence[Query]) -> Path | None:
        """Write a round's queries, whole or not at all; returns their file, if they are in one."""

    @abstractmethod
    def read_queries(self, number: int | None = None) -> list[Query]:
        """A round's queries by rank; ``None``: of the last round that has any. Unknown round: empty."""

    @abstractmethod
    def query_scenes(self) -> dict[str, str]:
        """Scene of every query of every round, by qid."""

    @abstractmethod
    def author_store(self, author: str) -> Path | None:
        """The GeoPackage that ``author`` writes to, made empty if there is none; None: write to the tables.

        Raises:
            LabelError: an empty name.
        """

    @abstractmethod
    def add(self, author: str, labels: Iterable[Label], decisions: Iterable[Decision] = ()) -> None:
        """Append to what ``author`` said: all of it or, if anything fails, nothing."""

    @abstractmethod
    def add_import(self, author: str, labels: Sequence[Label]) -> str:
        """Keep what ``author`` brought in, all of it or nothing; the labels keep their own authors.

        Returns:
            Where it is kept.
        """

    @abstractmethod
    def assignments(self, number: int) -> dict[str, tuple[str, ...]]:
        """Authors to whom each query of a round was handed out."""

    @abstractmethod
    def assign(self, number: int, given: dict[str, tuple[str, ...]]) -> None:
        """Record hand-outs beside those already made."""

    def hand_out(
        self, number: int, authors: Sequence[str], overlap: float = 0.0, count: int | None = None
    ) -> dict[str, tuple[str, ...]]:
        """Hand a round's open queries out to people; see `handout.hand_out`.

        Returns:
            The new hand-outs, by qid.
        """
        from tsfal_geo.labels.handout import hand_out

        given = hand_out(self.open_queries(number), authors, self.assignments(number), overlap, count)
        self.assign(number, given)
        return given

    @abstractmethod
    def read_all(self) -> LabelSnapshot:
        """Everything committed, withdrawn or not, in any order."""

    @property
    def folder(self) -> Path:
        """The workspace's folder of labels."""
        return self.root / "labels"

    def round_dir(self, number: int) -> Path:
        """The folder of a round."""
        return self.root / "rounds" / f"{number:03d}"

    def snapshot(self) -> LabelSnapshot:
        """Read everything that is committed, however many are writing; less what a restoration withdrew."""
        from tsfal_geo.labels.history import apply_restoration

        return apply_restoration(self, self.read_all())

    def scene_of_query(self) -> Callable[[str], str | None]:
        """A look-up of a query's scene that reads the queries when it is first asked."""
        known: dict[str, str] = {}

        def look_up(qid: str) -> str | None:
            if not known:
                known.update(self.query_scenes())
            return known.get(qid)

        return look_up

    def open_queries(self, number: int | None = None) -> list[Query]:
        """Queries of a round that nobody has answered yet, by rank."""
        answered = self.snapshot().answered
        return [query for query in self.read_queries(number) if query.qid not in answered]


def open_store(root: Path, classes: ClassMap, scenes: Sequence[Scene], url: str | None = None) -> LabelStore:
    """The label store of a workspace.

    Args:
        root: the workspace's folder.
        classes: the class map.
        scenes: the training scenes.
        url: ``postgresql://…`` for PostGIS; None for GeoPackages in the workspace.

    Raises:
        LabelError: another kind of URL.
        WorkspaceError: the database cannot be reached.
    """
    if url is None:
        from tsfal_geo.labels.gpkg import GeoPackageStore

        return GeoPackageStore(root, classes, scenes)
    if not url.startswith(("postgresql://", "postgres://")):
        raise LabelError(
            f"--store {url}: expected postgresql://[user@]host/database, or nothing for GeoPackages"
        )
    from tsfal_geo.labels.postgis import PostgisStore

    return PostgisStore(root, classes, scenes, url)


def stamp(time: datetime) -> str:
    """A time as GeoPackages write it: ISO 8601, UTC, milliseconds."""
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def label_keys(labels: Sequence[Label]) -> list[str]:
    """``Label.key`` of many labels."""
    parts, owner = shapely.get_parts([label.geometry for label in labels], return_index=True)
    shapes = shapely.to_wkb(shapely.multipolygons(parts, indices=owner), byte_order=1)
    return [
        hashlib.blake2b(repr(_said(label)).encode() + shape, digest_size=16).hexdigest()
        for label, shape in zip(labels, shapes, strict=True)
    ]


def _said(label: Label) -> tuple[object, ...]:
    return (
        label.scene,
        label.class_id,
        label.qid,
        label.round,
        label.author,
        label.source,
        stamp(label.created),
    )
