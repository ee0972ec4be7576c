"""An annotator's session in a workspace: the queue, the store and the layers, moved together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qgis.core import QgsCoordinateReferenceSystem, QgsGeometry, QgsPointXY
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..compat import tr
from ..layers.layers import LayerSet
from ..store.history import Change
from ..store.label_rows import LabelContext
from ..store.queries import DONE, SKIPPED, UNSURE, Query
from ..store.shapes import LabelRejected, same_crs
from ..store.sources import open_store
from ..store.workspace import Scene, Workspace, WorkspaceProblem
from .pixels import polygon_of
from .query_queue import QueryQueue, assigned_queries
from .statuses import Statuses


class Session(QObject):
    """Answers one query after the other; every answer is saved before the next query is shown.

    Args:
        workspace: the workspace.
        author: name under which labels are stored.
        path: the author's label file; None with PostGIS.
        canvas: the map canvas.

    Attributes:
        class_id: id of the class that the next label gets.
        last_answer: id of the class that labelled the last query; None before the first answer.
        store: the author's labels and decisions.
        layers: the layers in the project.
        statuses: the queue of the round, and the statuses of its queries.

    Raises:
        WorkspaceProblem: a layer cannot be opened.
    """

    moved = pyqtSignal()
    changed = pyqtSignal()
    message = pyqtSignal(str)
    problem = pyqtSignal(str)

    def __init__(self, workspace: Workspace, author: str, path: Path | None, canvas: QgsMapCanvas) -> None:
        super().__init__()
        self.workspace = workspace
        self.author = author
        self.class_id: int | None = workspace.classes[0].id if workspace.classes else None
        self.last_answer: int | None = None
        self.store = open_store(workspace, author, path)
        self.layers = LayerSet(workspace, canvas)
        self.statuses = Statuses(workspace, self.store, self.layers, path)
        self.statuses.changed.connect(self.changed)
        self.layers.build(self.store.labels, self.store.decisions, author)
        self.store.start_editing()
        self._fill_queue()
        self.layers.zoom_to_all()
        self.statuses.listen()

    @property
    def queue(self) -> QueryQueue:
        """The queries of the round."""
        return self.statuses.queue

    @property
    def current(self) -> Query | None:
        """The query that is being answered."""
        return self.queue.current

    @property
    def scene(self) -> Scene:
        """The scene of the current query, else the picture on top, else the first scene."""
        name = self.current.scene if self.current else ""
        found = next((scene for scene in self.workspace.scenes if scene.name == name), None)
        return found or self.layers.pictures.top or self.workspace.scenes[0]

    def next(self) -> None:
        """Save, and go to the next open query."""
        self._finish_current()
        self.refresh()
        self._go_to_next()

    def previous(self) -> None:
        """Save, and go to the previous query, answered or not."""
        self._finish_current()
        if self.queue.previous() is None:
            self.message.emit(tr("This is the first query."))
        self._show()

    def pick(self, point: QgsPointXY) -> None:
        """Save, and go to the query at a point.

        Args:
            point: in the canvas's CRS.
        """
        qid = self.layers.queries.find_at(point)
        if qid is None or self.queue.find(qid) is None:
            self.message.emit(tr("None of your queries contains this point."))
            return
        self._finish_current()
        self.queue.select(qid)
        self._show()

    def answer(self, class_id: int | None, source: str = "filled") -> None:
        """Label what is undrawn of the query's region, and go to the next query.

        Args:
            class_id: id of the class.
            source: ``filled``, or ``accepted`` for the suggested class.
        """

        def label(query: Query) -> None:
            region = self.layers.queries.region(query)
            self.store.answer(query, region.geometry, region.crs, class_id, source)
            self.last_answer = class_id

        self._decide(label)

    def answer_as_before(self) -> None:
        """Label what is undrawn of the query with the class of the last answer, and go to the next query."""
        if self.last_answer is None:
            self.problem.emit(tr("No query was labelled yet in this session; press the number of a class."))
        else:
            self.answer(self.last_answer)

    def answer_rest(self) -> None:
        """Give the class that is drawn with to all of the query that is undrawn, and go to the next one."""
        self.answer(self.class_id)

    def accept(self) -> None:
        """Finish a query on which something was drawn, else accept its suggestion; go to the next query."""
        query = self.current
        if query is not None and self.store.has_labels(query):
            self._decide(lambda each: self.store.decide(each, DONE))
        elif query is not None and query.suggested is None:
            self.problem.emit(tr("There is no suggestion for this query; press the number of its class."))
        else:
            self.answer(query.suggested if query else None, "accepted")

    def skip(self) -> None:
        """Record that the annotator does not answer this query; go to the next one."""
        self._decide(lambda query: self.store.decide(query, SKIPPED))

    def unsure(self) -> None:
        """Record that the class cannot be recognised; go to the next query."""
        self._decide(lambda query: self.store.decide(query, UNSURE))

    def draw(self, geometry: QgsGeometry, crs: QgsCoordinateReferenceSystem, source: str) -> None:
        """Save a polygon with the current class; it answers the current query if both intersect.

        Args:
            geometry: the polygon.
            crs: the CRS of its coordinates.
            source: ``drawn`` or ``brushed``.
        """
        query = self.current
        if query is not None:
            region = self.layers.queries.region(query)
            if not same_crs(region.crs, crs) or not region.geometry.intersects(geometry):
                query = None
        self._add(geometry, crs, source, query)

    def place_at(self, point: QgsPointXY, steps: int = 0) -> tuple[QgsGeometry, Scene] | None:
        """Find the place that a click labels: the segment below it, or one cell of 4 × 4 pixels.

        Args:
            point: in the canvas's CRS.
            steps: how many times the segments that touch are added; below 0 for the cell.

        Returns:
            A polygon along the edges of pixels, and its scene; None outside every scene.
        """
        found = self.layers.place_at(point, self.scene)
        return found and (polygon_of(self.layers.segment_at(*found, steps), found[0]), found[0])

    def label_place(self, point: QgsPointXY, steps: int = 0) -> None:
        """Label a place that the annotator found with the current class; it answers no query.

        Args:
            point: in the canvas's CRS.
            steps: as for `place_at`.
        """
        place = self.place_at(point, steps)
        if place is None:
            self.problem.emit(tr("This place lies outside every scene."))
        else:
            self._add(place[0], self.store.layer_of(place[1]).crs(), "filled", None)

    def reopen(self) -> None:
        """Go back to the query that was decided last, and remove the decision."""
        qid = self.store.last_decided()
        query = self.queue.find(qid) if qid else None
        if query is None:
            self.message.emit(tr("No query was decided in this round yet."))
        elif self.attempt(lambda: self.store.reopen(query)):
            self.statuses.update([query.qid])
            self.queue.select(query.qid)
            self._show()

    def undo(self) -> None:
        """Undo the last change, and go to its query."""
        self._undo_or_redo(self.store.undo)

    def redo(self) -> None:
        """Redo the change that was undone last, and go to its query."""
        self._undo_or_redo(self.store.redo)

    def start_round(self, workspace: Workspace) -> None:
        """Move to the workspace's present round; the view and unsaved edits do not change.

        Args:
            workspace: the workspace at the new round.

        Raises:
            WorkspaceProblem: its queries cannot be opened.
        """
        self.workspace = workspace
        self.store.context = LabelContext(workspace.classes, workspace.scenes, max(workspace.round, 0))
        self.layers.show_query(None)
        self.layers.show_round(workspace)
        self._fill_queue()
        self.moved.emit()

    def refresh(self) -> None:
        """Read the labels and decisions that other annotators have saved since the last call."""
        self.statuses.refresh()

    def save(self) -> str:
        """Save the edits of QGIS's own tools; returns the problem, or an empty text."""
        return self.store.save()

    def attempt(self, act: Callable[[], object]) -> bool:
        """Make a change of the store; if it is rejected, say why and return False.

        Args:
            act: makes the change.
        """
        try:
            act()
        except (LabelRejected, WorkspaceProblem) as problem:
            self.problem.emit(str(problem))
            return False
        return True

    def close(self) -> None:
        """Save, end the edit sessions, remove the layers; if a layer cannot be saved, all layers stay."""
        self.detach()
        problem = self.store.stop_editing()
        if problem:
            self.problem.emit(problem)
        else:
            self.layers.remove()

    def detach(self) -> None:
        """Stop refreshing, because the project is about to remove the layers."""
        self.statuses.stop_listening()
        self.layers.show_query(None)

    def _add(
        self, geometry: QgsGeometry, crs: QgsCoordinateReferenceSystem, source: str, query: Query | None
    ) -> None:
        top = self.layers.pictures.top
        self.attempt(lambda: self.store.add(geometry, crs, self.class_id, source, query, top))
        self.statuses.update([query.qid] if query else [])

    def _fill_queue(self) -> None:
        self.statuses.start_round(self.own_queries())

    def own_queries(self) -> list[Query]:
        """Read the round's queries that this annotator answers."""
        number = self.workspace.round
        assignments = self.workspace.assignments(number) if number >= 0 and not self.workspace.store else {}
        return assigned_queries(self.layers.queries.read(), assignments, self.author)

    def _decide(self, act: Callable[[Query], None]) -> None:
        query = self.current
        if query is None:
            self.problem.emit(tr("Choose a query first: N goes to the next one."))
        elif self.attempt(lambda: act(query)):
            self.statuses.update([query.qid])
            self._go_to_next()

    def _finish_current(self) -> None:
        """Save the edits of QGIS's own tools; a query with labels and without a decision is done."""
        problem = self.store.save()
        if problem:
            self.problem.emit(problem)
        query = self.current
        if query is not None and self.store.undecided(query):
            self.attempt(lambda: self.store.decide(query, DONE))
            self.statuses.update([query.qid])

    def _undo_or_redo(self, act: Callable[[], Change | None]) -> None:
        try:
            change = act()
        except LabelRejected as problem:
            self.problem.emit(str(problem))
            return
        if change is not None and change.qids:
            self.statuses.update(change.qids)
            self.queue.select(change.qids[0])
            self._show()
        else:
            self.changed.emit()

    def _go_to_next(self) -> None:
        if self.queue.next() is None:
            self.message.emit(tr("No query is left open. Train the next round."))
        self._show()

    def _show(self) -> None:
        self.layers.show_query(self.current)
        self.moved.emit()
