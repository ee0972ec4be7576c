"""A person at work in a workspace: the queue, the store and the layers, moved together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qgis.core import QgsCoordinateReferenceSystem, QgsGeometry, QgsPointXY
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from ..compat import tr
from ..layers.layers import LayerSet
from ..store.labels import Frame, read_statuses
from ..store.other_annotators import Others
from ..store.shapes import Refused, same_crs
from ..store.sources import open_store
from ..store.workspace import Scene, Workspace, WorkspaceProblem
from .query_queue import DONE, OPEN, SKIPPED, UNSURE, Query, QueryQueue, mine

_LOOK_MS = 5000


class Session(QObject):
    """Answers queries one after the other; every answer is saved before the next query is shown."""

    moved = pyqtSignal()
    changed = pyqtSignal()
    said = pyqtSignal(str)
    refused = pyqtSignal(str)

    def __init__(self, workspace: Workspace, author: str, path: Path | None, canvas: QgsMapCanvas) -> None:
        """Open the author's labels and show the layers.

        Raises:
            WorkspaceProblem: a layer cannot be opened.
        """
        super().__init__()
        self.workspace = workspace
        self.author = author
        self.class_id: int | None = workspace.classes[0].id if workspace.classes else None
        self.store = open_store(workspace, author, path)
        self.layers = LayerSet(workspace, canvas)
        self.others = Others(workspace, path)
        self._own: dict[str, str] = {}
        self.queue = QueryQueue([])
        self.layers.build(self.store.labels, self.store.decisions, author)
        self.store.begin()
        self._fill_queue()
        self.layers.zoom_to_all()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.look_around)
        if workspace.store:
            for layer in (*self.store.labels, self.store.decisions):
                layer.dataProvider().setListening(True)
                layer.dataProvider().notify.connect(self._notified)
        else:
            self._timer.start(_LOOK_MS)

    @property
    def current(self) -> Query | None:
        """The query that is being answered."""
        return self.queue.current

    @property
    def scene(self) -> Scene:
        """The scene of the current query, else the one on top, else the first."""
        name = self.current.scene if self.current else ""
        found = next((scene for scene in self.workspace.scenes if scene.name == name), None)
        return found or self.layers.top or self.workspace.scenes[0]

    def next(self) -> None:
        """Save, and go to the next open query."""
        self._leave()
        self.look_around()
        if self.queue.next() is None:
            self._nothing_open()
        self._show()

    def previous(self) -> None:
        """Save, and go to the query before, answered or not."""
        self._leave()
        if self.queue.previous() is None:
            self.said.emit(tr("That was the first query."))
        self._show()

    def pick(self, point: QgsPointXY) -> None:
        """Go to the query at a point of the canvas."""
        qid = self.layers.query_at(point)
        if qid is None or self.queue.find(qid) is None:
            self.said.emit(tr("There is no query of yours at that place."))
            return
        self._leave()
        self.queue.select(qid)
        self._show()

    def answer(self, class_id: int | None, source: str = "filled") -> None:
        """Give the query's whole region a class, and go on."""

        def give(query: Query) -> None:
            region = self.layers.region(query)
            self.store.answer(query, region.geometry, region.crs, class_id, source)

        self._decide(give)

    def accept(self) -> None:
        """Finish a query on which something was drawn; else accept the suggestion. Go on."""
        query = self.current
        if query is not None and self.store.has_labels(query):
            self._decide(lambda each: self.store.decide(each, DONE))
        elif query is not None and query.suggested is None:
            self.refused.emit(tr("There is no suggestion for this query; press the number of its class."))
        else:
            self.answer(query.suggested if query else None, "accepted")

    def skip(self) -> None:
        """Do not answer this query; go on."""
        self._decide(lambda query: self.store.decide(query, SKIPPED))

    def unsure(self) -> None:
        """Nobody can tell; go on."""
        self._decide(lambda query: self.store.decide(query, UNSURE))

    def draw(self, geometry: QgsGeometry, crs: QgsCoordinateReferenceSystem, source: str) -> None:
        """Save a polygon with the current class; it answers the current query if it lies on it."""
        query = self.current
        if query is not None:
            region = self.layers.region(query)
            if not same_crs(region.crs, crs) or not region.geometry.intersects(geometry):
                query = None
        top = self.layers.top
        self._try(lambda: self.store.add(geometry, crs, self.class_id, source, query, top))
        self._know(query.qid if query else None)

    def reopen(self) -> None:
        """Go back to the query that was decided last, and take the decision back."""
        qid = self.store.last_decided()
        query = self.queue.find(qid) if qid else None
        if query is None:
            self.said.emit(tr("Nothing was decided in this round yet."))
        elif self._try(lambda: self.store.reopen(query)):
            self._know(query.qid)
            self.queue.select(query.qid)
            self._show()

    def undo(self) -> None:
        """Take the last change back, and go where it was."""
        self._go_back(self.store.undo)

    def redo(self) -> None:
        """Make the change that was taken back last again."""
        self._go_back(self.store.redo)

    def start_round(self, workspace: Workspace) -> None:
        """Move to the workspace's present round; the view and unsaved edits stay.

        Raises:
            WorkspaceProblem: its queries cannot be opened.
        """
        self.workspace = workspace
        self.store.frame = Frame(workspace.classes, workspace.scenes, max(workspace.round, 0))
        self.layers.show_query(None)
        self.layers.show_round(workspace)
        self._fill_queue()
        self.moved.emit()

    def look_around(self) -> None:
        """Take in what other people saved meanwhile."""
        something, new = self.others.refresh()
        if something:
            self.layers.add_others(new)
            self._take_in()
        if self.workspace.store:
            self._own = read_statuses(self.store.labels, [self.store.decisions])
            self._take_in()

    def save(self) -> str:
        """Save what other tools of QGIS changed in the layers of labels; returns what went wrong."""
        return self.store.save()

    def close(self) -> None:
        """Save, end the edit sessions, take the layers away; all stay where something cannot be saved."""
        self.detach()
        problem = self.store.end()
        if problem:
            self.refused.emit(problem)
        else:
            self.layers.remove()

    def detach(self) -> None:
        """Stop looking; for the moment when the project takes the layers away."""
        self._timer.stop()
        self.layers.show_query(None)
        if self.workspace.store:
            for layer in (*self.store.labels, self.store.decisions):
                layer.dataProvider().notify.disconnect(self._notified)

    def _fill_queue(self) -> None:
        number = self.workspace.round
        given = self.workspace.assigned(number) if number >= 0 and not self.workspace.store else {}
        self.queue = QueryQueue(mine(self.layers.read_queries(), given, self.author))
        self._own = read_statuses(self.store.labels, [self.store.decisions])
        _, new = self.others.refresh()
        self.layers.add_others(new)
        self._take_in()

    def _take_in(self) -> None:
        self.queue.update({**self.others.statuses, **self._own})
        self.layers.set_statuses({query.qid: self.queue.status(query.qid) for query in self.queue.queries})
        self.changed.emit()

    def _notified(self, message: str) -> None:
        if message.startswith("tsfal"):
            for layer in (*self.store.labels, self.store.decisions):
                layer.triggerRepaint()
            self.look_around()

    def _know(self, qid: str | None) -> None:
        query = self.queue.find(qid) if qid else None
        if query is None:
            self.changed.emit()
            return
        self._own[query.qid] = self.store.status(query)
        if self._own[query.qid] == OPEN:
            del self._own[query.qid]
        self.queue.update({**self.others.statuses, **self._own})
        self.layers.set_statuses({query.qid: self.queue.status(query.qid)})
        self.changed.emit()

    def _decide(self, how: Callable[[Query], None]) -> None:
        query = self.current
        if query is None:
            self.refused.emit(tr("Choose a query first: N goes to the next one."))
        elif self._try(lambda: how(query)):
            self._know(query.qid)
            if self.queue.next() is None:
                self._nothing_open()
            self._show()

    def _leave(self) -> None:
        problem = self.store.save()
        if problem:
            self.refused.emit(problem)
        query = self.current
        if query is not None and self.store.undecided(query):
            self._try(lambda: self.store.decide(query, DONE))
            self._know(query.qid)

    def _go_back(self, turn: Callable[[], object]) -> None:
        try:
            change = turn()
        except Refused as problem:
            self.refused.emit(str(problem))
            return
        qid = getattr(change, "qid", None)
        if qid:
            self._know(qid)
            self.queue.select(qid)
            self._show()
        else:
            self.changed.emit()

    def _try(self, act: Callable[[], object]) -> bool:
        try:
            act()
        except (Refused, WorkspaceProblem) as problem:
            self.refused.emit(str(problem))
            return False
        return True

    def _nothing_open(self) -> None:
        self.said.emit(tr("No query is left open. Train the next round."))

    def _show(self) -> None:
        self.layers.show_query(self.current)
        self.moved.emit()
