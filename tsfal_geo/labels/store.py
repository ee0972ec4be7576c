"""The label store: one interface for the GeoPackages of a workspace and for a PostGIS schema.

The engine writes queries and assignments; annotators write labels and decisions, which the engine only reads.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tsfal_geo.classes import ClassMap
from tsfal_geo.labels.assignment import assign_queries
from tsfal_geo.labels.model import Decision, Label, LabelSnapshot, Query
from tsfal_geo.labels.restorations import apply_restoration
from tsfal_geo.raster.scene import Scene


class LabelStore(ABC):
    """Queries, labels, decisions and assignments of one workspace.

    Attributes:
        root: the workspace's folder.
        classes: the class map.
        scenes: the training scenes by name.
    """

    def __init__(self, root: Path, classes: ClassMap, scenes: Sequence[Scene]) -> None:
        self.root = Path(root)
        self.classes = classes
        self.scenes = {scene.name: scene for scene in scenes}

    @abstractmethod
    def write_queries(self, number: int, queries: Sequence[Query]) -> Path | None:
        """Write a round's queries, whole or not at all.

        Args:
            number: of the round.
            queries: all queries of the round.

        Returns:
            Their file; None where they are rows of a database.
        """

    @abstractmethod
    def append_queries(self, number: int, queries: Sequence[Query]) -> None:
        """Add queries to those of a round that is complete, all of them or nothing.

        Args:
            number: of the round, which has queries.
            queries: the new ones; their qids are new in the workspace.

        Raises:
            WorkspaceError: another program holds the file or the rows locked for too long.
        """

    @abstractmethod
    def read_queries(self, number: int | None = None) -> list[Query]:
        """Read a round's queries by rank.

        Args:
            number: of the round; None: the last round that has queries.

        Returns:
            The queries; none for a round that the store does not hold.
        """

    @abstractmethod
    def query_scenes(self) -> dict[str, str]:
        """Read the scene of every query of every round, by qid."""

    @abstractmethod
    def author_store(self, author: str) -> Path | None:
        """Return the GeoPackage that an annotator writes to, and make it where there is none.

        Args:
            author: the annotator; any text.

        Returns:
            The file; None where annotators write to the tables of a database.

        Raises:
            LabelError: an empty name.
        """

    @abstractmethod
    def add(self, author: str, labels: Iterable[Label], decisions: Iterable[Decision] = ()) -> None:
        """Append an annotator's labels and decisions: all of them or, if anything fails, nothing.

        Args:
            author: the annotator; replaces the authors of labels and decisions.
            labels: the new labels.
            decisions: the new decisions; a later one on the same query replaces the earlier.

        Raises:
            LabelError: an empty name, an unknown scene or class, or a geometry that is not a valid polygon.
            WorkspaceError: another program holds the file or the rows locked for too long.
        """

    @abstractmethod
    def add_import(self, author: str, labels: Sequence[Label]) -> str:
        """Keep imported labels: all of them or nothing. The labels keep their own authors.

        Args:
            author: of rows that an annotator adds to the import's file by hand.
            labels: the imported labels.

        Returns:
            The file or the batch that holds them.

        Raises:
            LabelError: an unknown scene or class, or a geometry that is not a valid polygon.
        """

    @abstractmethod
    def assignments(self, number: int) -> dict[str, tuple[str, ...]]:
        """Read the annotators to whom the queries of a round are assigned, by qid.

        Args:
            number: of the round.

        Raises:
            WorkspaceError: the record is damaged.
        """

    @abstractmethod
    def save_assignments(self, number: int, assigned: dict[str, tuple[str, ...]]) -> None:
        """Record assignments beside the earlier ones.

        Args:
            number: of the round.
            assigned: annotators by qid.
        """

    def assign_queries(
        self, number: int, authors: Sequence[str], overlap: float = 0.0, count: int | None = None
    ) -> dict[str, tuple[str, ...]]:
        """Assign a round's open queries to annotators; see `assignment.assign_queries`.

        Args:
            number: of the round.
            authors: the annotators.
            overlap: share of the queries that two annotators get, 0 to 1.
            count: queries for each annotator; None: all.

        Returns:
            The new assignments, by qid.

        Raises:
            LabelError: as `assignment.assign_queries` raises.
        """
        assigned = assign_queries(
            self.open_queries(number), authors, self.assignments(number), overlap, count
        )
        self.save_assignments(number, assigned)
        return assigned

    @abstractmethod
    def read_all(self) -> LabelSnapshot:
        """Read everything that is committed, withdrawn or not, in any order."""

    @abstractmethod
    def version(self) -> object:
        """Return a value that differs after each commit of labels or decisions; it costs little to read."""

    @property
    def folder(self) -> Path:
        """The workspace's folder of labels."""
        return self.root / "labels"

    def round_dir(self, number: int) -> Path:
        """Return the folder of a round.

        Args:
            number: of the round.
        """
        return self.root / "rounds" / f"{number:03d}"

    def snapshot(self) -> LabelSnapshot:
        """Read the labels and decisions that hold: everything committed, less what a restoration withdrew.

        Every label file is parsed once a call; a caller that needs the snapshot twice passes it on.

        Raises:
            WorkspaceError: a file is locked for too long, or of a newer schema.
        """
        return self.without_withdrawn(self.read_all())

    def without_withdrawn(self, committed: LabelSnapshot) -> LabelSnapshot:
        """Apply the last restoration to what `read_all` returned.

        Args:
            committed: everything that is committed.

        Returns:
            The labels and decisions that hold, oldest first.
        """
        return apply_restoration(self.folder, self.scenes, self.classes, committed)

    def scene_of_query(self) -> Callable[[str], str | None]:
        """Return a look-up of a query's scene by qid; the queries are read at its first call."""
        scenes: dict[str, str] = {}

        def look_up(qid: str) -> str | None:
            if not scenes:
                scenes.update(self.query_scenes())
            return scenes.get(qid)

        return look_up

    def open_queries(self, number: int | None = None, snapshot: LabelSnapshot | None = None) -> list[Query]:
        """Read the queries of a round that no annotator has answered yet, by rank.

        Args:
            number: of the round; None: the last round that has queries.
            snapshot: the labels that hold; None: they are read.
        """
        answered = (self.snapshot() if snapshot is None else snapshot).answered
        return [query for query in self.read_queries(number) if query.qid not in answered]

    def skipped_queries(self, snapshot: LabelSnapshot) -> list[Query]:
        """Read the queries whose latest decision is ``skipped`` or ``unsure``.

        Args:
            snapshot: holds the decisions.
        """
        last = {decision.qid: decision for decision in snapshot.decisions}
        unwanted = [decision for decision in last.values() if decision.status != "done"]
        names = {decision.qid for decision in unwanted}
        rounds = sorted({decision.round for decision in unwanted})
        return [query for number in rounds for query in self.read_queries(number) if query.qid in names]
