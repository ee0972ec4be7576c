"""The label store: one interface for the GeoPackages of a workspace and for a PostGIS schema."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tsfal_geo.classes import ClassMap
from tsfal_geo.labels.model import Decision, Label, LabelSnapshot, Query
from tsfal_geo.labels.restorations import apply_restoration
from tsfal_geo.raster.scene import Scene


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
    def save_assignments(self, number: int, given: dict[str, tuple[str, ...]]) -> None:
        """Record hand-outs beside those already made."""

    def assign_queries(
        self, number: int, authors: Sequence[str], overlap: float = 0.0, count: int | None = None
    ) -> dict[str, tuple[str, ...]]:
        """Hand a round's open queries out to people; see `handout.assign_queries`.

        Returns:
            The new hand-outs, by qid.
        """
        from tsfal_geo.labels.assignment import assign_queries

        given = assign_queries(self.open_queries(number), authors, self.assignments(number), overlap, count)
        self.save_assignments(number, given)
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
        return apply_restoration(self.folder, self.scenes, self.classes, self.read_all())

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
