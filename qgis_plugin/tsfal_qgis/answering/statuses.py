"""The statuses of the queries of a round, from the labels and decisions of all annotators."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from qgis.core import QgsVectorLayer
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from ..layers.layers import LayerSet
from ..store.label_rows import read_statuses
from ..store.labels import LabelStore
from ..store.other_annotators import OtherAnnotators
from ..store.queries import OPEN, Query
from ..store.workspace import Workspace
from .query_queue import QueryQueue

_REFRESH_MS = 5000


class Statuses(QObject):
    """The queue of a round, and the colours of its queries on the canvas.

    Args:
        workspace: the workspace.
        store: the annotator's labels and decisions.
        layers: the layers in the project.
        path: the annotator's label file; None with PostGIS.

    Attributes:
        queue: the queries of the round.
    """

    changed = pyqtSignal()

    def __init__(self, workspace: Workspace, store: LabelStore, layers: LayerSet, path: Path | None) -> None:
        super().__init__()
        self._store = store
        self._layers = layers
        self._others = OtherAnnotators(workspace, path)
        # In a database, the annotator's own rows may come from another QGIS.
        self._shared = bool(workspace.store)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.refresh)
        self._own: dict[str, str] = {}
        self.queue = QueryQueue([])

    def start_round(self, queries: Iterable[Query]) -> None:
        """Begin the queue of a round.

        Args:
            queries: those that the annotator answers.
        """
        self.queue = QueryQueue(queries)
        self._read(own=True)

    def refresh(self) -> None:
        """Read what annotators have saved since the last call."""
        self._read(own=self._shared)

    def settle(self, qids: Iterable[str]) -> None:
        """Withdraw queries that other answers settled, and show those again that no longer are.

        Args:
            qids: all that are settled now.
        """
        changed = self.queue.settle(qids)
        if changed:
            self._show([query for query in map(self.queue.find, changed) if query is not None])

    def add(self, queries: Iterable[Query]) -> None:
        """Take new queries of the round in.

        Args:
            queries: those that the annotator answers.
        """
        new = self.queue.extend(queries)
        if new:
            self._show(new)

    def listen(self) -> None:
        """Refresh whenever the database announces a change; with files, every few seconds."""
        if self._shared:
            for layer in self._store_layers:
                layer.dataProvider().setListening(True)
                layer.dataProvider().notify.connect(self._notified)
        else:
            self._timer.start(_REFRESH_MS)

    def stop_listening(self) -> None:
        """Stop refreshing, because the project is about to remove the layers."""
        self._timer.stop()
        if self._shared:
            for layer in self._store_layers:
                layer.dataProvider().notify.disconnect(self._notified)

    def update(self, qids: Iterable[str]) -> None:
        """Show what the annotator's last change made of queries.

        Args:
            qids: their ids; unknown ones are ignored.
        """
        found = [query for query in map(self.queue.find, qids) if query is not None]
        for query in found:
            self._own[query.qid] = self._store.status(query)
            if self._own[query.qid] == OPEN:
                del self._own[query.qid]
        self._show(found)

    @property
    def _store_layers(self) -> tuple[QgsVectorLayer, ...]:
        return (*self._store.labels, self._store.decisions)

    def _notified(self, message: str) -> None:
        if message.startswith("tsfal"):
            for layer in self._store_layers:
                layer.triggerRepaint()
            self.refresh()

    def _read(self, own: bool) -> None:
        changed, new = self._others.refresh()
        self._layers.add_other_annotators(new)
        if own:
            self._own = read_statuses(self._store.labels, [self._store.decisions])
        if changed or own:
            self._show(self.queue.queries)

    def _show(self, queries: Iterable[Query]) -> None:
        self.queue.update({**self._others.statuses, **self._own})
        self._layers.queries.set_statuses({each.qid: self.queue.status(each.qid) for each in queries})
        self.changed.emit()
