"""A person's labels and decisions, through QGIS's own providers: a GeoPackage, or a team's PostGIS tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsFeatureRequest,
    QgsGeometry,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QDateTime, QObject, pyqtSignal

from ..answering.query_queue import DONE, OPEN, Query
from ..compat import create_feature, tr
from .history import Change, History, Row, SaveProblem, commit, rows
from .shapes import Refused, footprint, mended, same_crs, scene_crs
from .workspace import ClassInfo, Scene

WHOLE = ("filled", "accepted")  # sources of labels that are a query's whole region


@dataclass(frozen=True)
class Frame:
    """Where labels may lie.

    Attributes:
        classes: the class map.
        scenes: the scenes.
        round: the round in which labels are made.
    """

    classes: tuple[ClassInfo, ...]
    scenes: tuple[Scene, ...]
    round: int


class LabelStore(QObject):
    """The author's layers of labels and table of decisions; every change is saved at once.

    Args:
        labels: layers of labels, of different CRSs.
        decisions: the table of decisions.
        author: who labels.
        frame: classes, scenes, round.
    """

    changed = pyqtSignal()

    def __init__(
        self, labels: Sequence[QgsVectorLayer], decisions: QgsVectorLayer, author: str, frame: Frame
    ) -> None:
        super().__init__()
        self.labels = list(labels)
        self.decisions = decisions
        self.author = author
        self.frame = frame
        self.history = History(self)
        self.history.changed.connect(self.changed)

    def begin(self) -> None:
        """Open the edit sessions; they stay open so that QGIS's digitising tools work."""
        for layer in (*self.labels, self.decisions):
            if not layer.isEditable():
                layer.startEditing()

    def end(self) -> str:
        """Save what other tools left in the layers, end the edit sessions; returns what went wrong.

        A layer that cannot be saved stays in its edit session, with everything that was drawn.
        """
        problem = self.save()
        for layer in (*self.labels, self.decisions):
            if layer.isEditable() and not layer.isModified():
                layer.commitChanges(True)
        return problem

    def save(self) -> str:
        """Save what other tools of QGIS changed in the layers; returns what went wrong, or nothing."""
        for layer in (*self.labels, self.decisions):
            if layer.isEditable() and layer.isModified():
                try:
                    commit(layer)
                except SaveProblem as problem:
                    text = tr(
                        "Not saved: what QGIS itself drew in {layer} ({why}). Has each polygon a class?"
                    )
                    return text.format(layer=layer.name(), why=str(problem).rstrip(". "))
        return ""

    def layer_for(self, crs: QgsCoordinateReferenceSystem) -> QgsVectorLayer:
        """The layer of a CRS.

        Raises:
            Refused: the store has none.
        """
        for layer in self.labels:
            if same_crs(layer.crs(), crs):
                return layer
        raise Refused(
            f"Your label file is older than the scenes in {crs.authid()}; label under another name."
        )

    def layer_of(self, scene: Scene) -> QgsVectorLayer:
        """The layer of a scene's CRS.

        Raises:
            Refused: the store has none.
        """
        # A CRS without a code is not always the same one to QGIS after it was in a file.
        return self.labels[0] if len(self.labels) == 1 else self.layer_for(scene_crs(scene))

    def add(
        self,
        geometry: QgsGeometry,
        crs: QgsCoordinateReferenceSystem,
        class_id: int | None,
        source: str,
        query: Query | None = None,
        top: Scene | None = None,
    ) -> QgsGeometry:
        """Save a label.

        Args:
            geometry: a polygon; mended where it is invalid.
            crs: its coordinates.
            class_id: id of the class.
            source: ``drawn`` or ``brushed``.
            query: the query that it answers, if it lies on one.
            top: the scene that is meant of those that lie on one another.

        Returns:
            The polygon as it was saved.

        Raises:
            Refused: no class, no polygon, outside every scene, or the store refused it.
        """
        row = self._label(geometry, crs, class_id, source, query, top)
        self._do(Change(added=(row,), qid=query.qid if query else None))
        return row.feature.geometry()

    def answer(
        self,
        query: Query,
        geometry: QgsGeometry,
        crs: QgsCoordinateReferenceSystem,
        class_id: int | None,
        source: str,
    ) -> None:
        """Save a label for a query's whole region and the decision ``done``, together.

        Raises:
            Refused: as ``add``.
        """
        row = self._label(geometry, crs, class_id, source, query)
        earlier = [item for layer in self.labels for item in rows(layer, _whole(query, self.author))]
        added, removed = self._deciding(query, DONE)
        self._do(Change((row, *added), (*earlier, *removed), query.qid))

    def decide(self, query: Query, status: str) -> None:
        """Save a decision; an earlier one on the same query is replaced.

        Raises:
            Refused: the store refused it.
        """
        added, removed = self._deciding(query, status)
        self._do(Change(added, removed, query.qid))

    def last_decided(self) -> str | None:
        """The query that this author decided last in this round."""
        own = rows(self.decisions, f"{_is('round', self.frame.round)} AND {_is('author', self.author)}")
        if not own:
            return None
        return str(max(own, key=lambda row: row.fid).feature["qid"])

    def reopen(self, query: Query) -> None:
        """Take back this author's decision on a query and the labels that filled it; drawn ones stay.

        Raises:
            Refused: the store refused.
        """
        labels = [row for layer in self.labels for row in rows(layer, _whole(query, self.author))]
        decided = rows(self.decisions, self._own(query))
        if labels or decided:
            self._do(Change(removed=(*labels, *decided), qid=query.qid))

    def undo(self) -> Change | None:
        """Take the last change back.

        Raises:
            Refused: the store refused.
        """
        try:
            return self.history.undo()
        except SaveProblem as problem:
            raise Refused(f"Not taken back: {problem}") from None

    def redo(self) -> Change | None:
        """Make the change that was taken back last again.

        Raises:
            Refused: the store refused.
        """
        try:
            return self.history.redo()
        except SaveProblem as problem:
            raise Refused(f"Not done again: {problem}") from None

    def has_labels(self, query: Query) -> bool:
        """Whether this author has labelled anything on a query."""
        mine = f"{_is('qid', query.qid)} AND {_is('author', self.author)}"
        return any(rows(layer, mine) for layer in self.labels)

    def undecided(self, query: Query) -> bool:
        """Whether this author labelled something on a query and has not said what became of it."""
        return self.has_labels(query) and not rows(self.decisions, self._own(query))

    def status(self, query: Query) -> str:
        """What became of a query by this author's hand: the decision; done where there are only labels."""
        decided = rows(self.decisions, self._own(query))
        if decided:
            return str(decided[-1].feature["status"])
        return DONE if self.has_labels(query) else OPEN

    def _do(self, change: Change) -> None:
        try:
            self.history.do(change)
        except SaveProblem as problem:
            raise Refused(f"Not saved: {problem}") from None

    def _deciding(self, query: Query, status: str) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
        values = {"qid": query.qid, "round": query.round, "status": status, "author": self.author}
        row = Row(self.decisions, _feature(self.decisions, QgsGeometry(), values))
        return (row,), tuple(rows(self.decisions, self._own(query)))

    def _own(self, query: Query) -> str:
        return " AND ".join((_is("qid", query.qid), _is("round", query.round), _is("author", self.author)))

    def _label(
        self,
        geometry: QgsGeometry,
        crs: QgsCoordinateReferenceSystem,
        class_id: int | None,
        source: str,
        query: Query | None,
        top: Scene | None = None,
    ) -> Row:
        if class_id is None:
            raise Refused("Choose a class first: press its number, or click it.")
        if class_id not in {info.id for info in self.frame.classes}:
            raise Refused(f"Class {class_id} is not in the class map of this workspace.")
        layer = self.layer_for(crs)
        shape = mended(geometry)
        scene = query.scene if query else self._scene_below(shape, crs, top)
        values = {
            "class_id": class_id,
            "scene": scene,
            "qid": query.qid if query else None,
            "round": self.frame.round,
            "author": self.author,
            "source": source,
        }
        return Row(layer, _feature(layer, shape, values))

    def _scene_below(
        self, shape: QgsGeometry, crs: QgsCoordinateReferenceSystem, top: Scene | None
    ) -> str | None:
        meant = self.frame.scenes if top is None or crs.isValid() else (top,)
        below = [
            scene
            for scene in meant
            if same_crs(self.layer_of(scene).crs(), crs) and footprint(scene).intersects(shape)
        ]
        if not below:
            raise Refused("The polygon lies outside every scene.")
        return below[0].name if len(below) == 1 else None


def read_statuses(labels: Iterable[QgsVectorLayer], decisions: Iterable[QgsVectorLayer]) -> dict[str, str]:
    """What became of queries, by qid: the latest decision; done where there are only labels."""
    statuses: dict[str, str] = {}
    request = QgsFeatureRequest().setFlags(QgsFeatureRequest.Flag.NoGeometry)
    for layer in labels:
        if "qid" in layer.fields().names():
            named = layer.getFeatures(request)
            statuses.update((str(each["qid"]), DONE) for each in named if isinstance(each["qid"], str))
    decided: dict[str, tuple[str, str]] = {}
    for layer in decisions:
        if {"qid", "status", "created"} <= set(layer.fields().names()):
            for each in layer.getFeatures(request):
                qid, known = str(each["qid"]), (_stamp(each["created"]), str(each["status"]))
                decided[qid] = max(decided.get(qid, known), known)
    return {**statuses, **{qid: status for qid, (_, status) in decided.items()}}


def _feature(layer: QgsVectorLayer, geometry: QgsGeometry, values: dict[str, Any]) -> QgsFeature:
    fields = layer.fields()
    named = {fields.indexOf(name): value for name, value in values.items() if fields.indexOf(name) >= 0}
    return create_feature(
        layer, geometry, {index: value for index, value in named.items() if value is not None}
    )


def _stamp(time: object) -> str:
    return time.toUTC().toString("yyyy-MM-ddTHH:mm:ss.zzz") if isinstance(time, QDateTime) else ""


def _is(name: str, value: object) -> str:
    text = str(value).replace("'", "''") if isinstance(value, str) else value
    return f"\"{name}\" = '{text}'" if isinstance(value, str) else f'"{name}" = {text}'


def _whole(query: Query, author: str) -> str:
    sources = ", ".join(f"'{source}'" for source in WHOLE)
    return f'{_is("qid", query.qid)} AND {_is("author", author)} AND "source" IN ({sources})'
