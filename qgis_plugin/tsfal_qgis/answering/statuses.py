"""The statuses of the queries of a round, from the labels and decisions of all annotators."""

from __future__ import annotations

from collections.abc import Iterable

from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..layers.layers import LayerSet
from ..store.label_rows import read_statuses
from ..store.labels import LabelStore
from ..store.other_annotators import OtherAnnotators
from ..store.queries import OPEN, Query
from .query_queue import QueryQueue


class Statuses(QObject):
    """The queue of a round, and the colours of its queries on the canvas.

    Args:
        store: the annotator's labels and decisions.
        layers: the layers in the project.
        others: the labels of other annotators.

    Attributes:
        queue: the queries of the round.
    """

    changed = pyqtSignal()

    def __init__(self, store: LabelStore, layers: LayerSet, others: OtherAnnotators) -> None:
        super().__init__()
        self._store = store
        self._layers = layers
        self._others = others
        self._own: dict[str, str] = {}
        self.queue = QueryQueue([])

    def start_round(self, queries: Iterable[Query]) -> None:
        """Begin the queue of a round.

        Args:
            queries: those that the annotator answers.
        """
        self.queue = QueryQueue(queries)
        self.refresh(own=True)

    def refresh(self, own: bool) -> None:
        """Read what annotators have saved since the last call.

        Args:
            own: True to read the annotator's own statuses too, which another QGIS may have changed.
        """
        changed, new = self._others.refresh()
        self._layers.add_other_annotators(new)
        if own:
            self._own = read_statuses(self._store.labels, [self._store.decisions])
        if changed or own:
            self._show(self.queue.queries)

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

    def _show(self, queries: Iterable[Query]) -> None:
        self.queue.update({**self._others.statuses, **self._own})
        self._layers.queries.set_statuses({each.qid: self.queue.status(each.qid) for each in queries})
        self.changed.emit()
