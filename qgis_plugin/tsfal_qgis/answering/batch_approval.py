"""Batch approval: one suggested class for queries that look alike, accepted together on a contact sheet."""

from __future__ import annotations

from collections.abc import Collection

from qgis.PyQt.QtCore import QObject, pyqtSignal
from qgis.PyQt.QtGui import QImage
from qgis.PyQt.QtWidgets import QWidget

from ..compat import tr
from ..layers.thumbnails import SIDE, Thumbnails, look_of
from ..panel.contact_sheet import ContactSheet
from ..store.queries import OPEN, Query
from .likeness import candidates, most_alike, suggested_classes
from .session import Session

SHEET = 24
"""Most queries of a sheet."""

_POOL = 4 * SHEET  # queries whose thumbnails are compared


class BatchApproval(QObject):
    """Fills contact sheets and saves what is accepted.

    Args:
        session: the session that is open.
        parent: QGIS's main window.

    Attributes:
        sheet: the dialog.
    """

    message = pyqtSignal(str)

    def __init__(self, session: Session, parent: QWidget | None) -> None:
        super().__init__(parent)
        self._session = session
        self._thumbnails = Thumbnails()
        self._looked_at: set[str] = set()
        self._shown: list[Query] = []
        self._class_id: int | None = None
        self.sheet = ContactSheet(parent, SIDE)
        self.sheet.class_chosen.connect(self._choose)
        self.sheet.approved.connect(self._approve)
        self.sheet.passed.connect(self._pass_on)

    def begin(self) -> None:
        """Show the first sheet: the class suggested for the current query, else the most frequent one."""
        current = self._session.current
        is_open = current is not None and self._session.queue.status(current.qid) == OPEN
        self._class_id = current.suggested if current is not None and is_open else None
        if self._fill():
            self.sheet.open()
        else:
            self.message.emit(tr("No open query has a suggestion; answer some, and train the next round."))

    def end(self) -> None:
        """Close the sheet for good."""
        self.sheet.close()
        self.sheet.deleteLater()

    def _choose(self, class_id: int) -> None:
        self._class_id = class_id
        self._looked_at.clear()
        self._fill()

    def _approve(self, kept: list[str], taken_out: list[str]) -> None:
        session = self._session
        queries = [
            each for each in self._shown if each.qid in kept and session.queue.status(each.qid) == OPEN
        ]
        self._looked_at.update(taken_out)
        if queries and self._save(queries):
            self.message.emit(
                tr("{count} suggestions were accepted; one undo takes them back.").format(count=len(queries))
            )
            self._show_next()

    def _save(self, queries: list[Query]) -> bool:
        session = self._session
        regions = [session.layers.queries.region(query) for query in queries]
        labels = [(query, each.geometry, each.crs) for query, each in zip(queries, regions, strict=True)]
        answers_current = session.current in queries
        saved = session.attempt(lambda: session.store.accept_all(labels))
        session.statuses.update([query.qid for query in queries])
        if saved and answers_current:
            session.next()
        return saved

    def _pass_on(self) -> None:
        self._looked_at.update(query.qid for query in self._shown)
        self._show_next()

    def _show_next(self) -> None:
        if not self._fill():
            self.sheet.close()

    def _fill(self) -> bool:
        """Fill the sheet, with another class where none of this one is left; False if nothing is left."""
        queue = self._session.queue
        counts = suggested_classes(queue)
        for class_id in sorted(counts, key=lambda each: each != self._class_id):
            pool = candidates(queue, class_id, self._looked_at, _POOL)
            if pool:
                self._class_id = class_id
                self._show(pool, counts)
                return True
        return False

    def _show(self, pool: Collection[Query], counts: dict[int, int]) -> None:
        scenes = {scene.name: scene for scene in self._session.workspace.scenes}
        drawn: list[tuple[Query, QImage]] = []
        looks = []
        for query in pool:
            region = self._session.layers.queries.region(query)
            image = self._thumbnails.draw(region, scenes[query.scene])
            looks.append(look_of(image))
            drawn.append((query, self._thumbnails.outline(image, region, scenes[query.scene])))
        chosen = [drawn[position] for position in most_alike(looks, SHEET)]
        self._shown = [query for query, _ in chosen]
        names = {info.id: info.name for info in self._session.workspace.classes}
        text = tr("{name}: {count} open")
        texts = {each: text.format(name=names.get(each, each), count=count) for each, count in counts.items()}
        self.sheet.show_classes(texts, self._class_id if self._class_id is not None else -1)
        self.sheet.show_queries([(query.qid, image) for query, image in chosen])
