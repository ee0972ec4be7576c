"""The connection of the live session to the annotator's: answers go out, map, queue and accuracy come in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qgis.core import QgsSettings
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from ..answering.session import Session
from ..compat import tr
from ..store.queries import SETTLED
from .live_engine import LiveEngine
from .live_layers import LiveLayers

SETTING = "tsfal/live"
_LOOK_MS = 120  # after the last movement of the view


class Following(QObject):
    """Follows one annotator's session, if the workspace allows it and the user has not switched it off.

    Args:
        session: the session.
        canvas: the map canvas.
    """

    described = pyqtSignal(str)
    estimated = pyqtSignal(list, list)
    settled = pyqtSignal(str)

    def __init__(self, session: Session, canvas: QgsMapCanvas) -> None:
        super().__init__()
        self._session = session
        self._canvas = canvas
        self._answers: list[float] = []
        self._accuracy: list[float] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_LOOK_MS)
        self._timer.timeout.connect(self.look)
        self.layers = LiveLayers(canvas, session.layers.tree, session.workspace.classes, tr("Live map"))
        self.engine = LiveEngine(self)
        self.engine.told.connect(self._told)
        self.engine.ended.connect(self.described)
        session.store.history.changed.connect(self._answered)
        canvas.extentsChanged.connect(self._timer.start)

    @staticmethod
    def enabled() -> bool:
        """Return whether the user wants live sessions; they do by default."""
        return bool(QgsSettings().value(SETTING, True, type=bool))

    def switch(self, on: bool) -> None:
        """Start or stop the engine's session, and remember it for the next workspace.

        Args:
            on: True to start it.
        """
        QgsSettings().setValue(SETTING, on)
        if on and not self.engine.running:
            self.begin()
        elif not on:
            self.engine.stop()
            self._settle([])
            self.described.emit(tr("The live session is off."))

    def begin(self) -> None:
        """Start the engine's session where the workspace has features to go on from."""
        workspace = self._session.workspace
        last = workspace.metrics[-1] if workspace.metrics else {}
        # A training of TSF that began from the instant model says which network makes its map.
        if workspace.round < 0 or (last.get("method") != "instant" and "network" not in last):
            self.described.emit(tr("A live map needs a complete round of the method instant."))
            return
        self.described.emit(tr("The live session is starting …"))
        self.engine.start(workspace.root)
        self.look()

    def look(self) -> None:
        """Tell the session what is looked at; nothing, where the live map is hidden."""
        views = self.layers.views(self._session.layers.shown_scenes) if self.layers.shown else []
        self.engine.say("look", views=views)

    def show_map(self, shown: bool) -> None:
        """Show or hide the live map.

        Args:
            shown: True to show it.
        """
        self.layers.show(shown)
        self.look()

    def end(self) -> None:
        """Stop the engine's session and disconnect; called before the annotator's session is closed."""
        self._timer.stop()
        self._canvas.extentsChanged.disconnect(self._timer.start)
        self._session.store.history.changed.disconnect(self._answered)
        self.engine.stop()

    def _answered(self) -> None:
        self.engine.say("answer")

    def _told(self, kind: str, values: dict[str, Any]) -> None:
        acts: dict[str, Callable[[dict[str, Any]], None]] = {
            "changed": self._map_changed,
            "queue": self._queue_changed,
            "score": self._score_changed,
        }
        # An event of the round before may arrive after the next one was opened.
        if (
            kind in acts
            and values.get("round", self._session.workspace.round) == self._session.workspace.round
        ):
            acts[kind](values)

    def _map_changed(self, values: dict[str, Any]) -> None:
        scenes = {scene.name: scene for scene in self._session.workspace.scenes}
        path, scene = Path(str(values.get("path"))), scenes.get(str(values.get("scene")))
        if scene is not None and path.is_file():
            self.layers.change(path, scene)

    def _queue_changed(self, values: dict[str, Any]) -> None:
        if values.get("added"):
            self._session.layers.queries.reload()
            self._session.statuses.add(self._session.own_queries())
        self._session.queue.reorder(str(qid) for qid in values.get("order", []))
        self._settle([str(qid) for qid in values.get("settled", [])])
        new = len(values.get("newly_settled", []))
        if new:
            text = tr("{count} queries are settled by your answers; undo takes the last answer back.")
            self.settled.emit(text.format(count=new))

    def _settle(self, qids: list[str]) -> None:
        """Withdraw queries, except the one that is looked at."""
        current = self._session.current
        self._session.statuses.settle(qid for qid in qids if current is None or qid != current.qid)

    def _score_changed(self, values: dict[str, Any]) -> None:
        answers, accuracy, error = (values.get(name) for name in ("answers", "accuracy", "error"))
        counts = self._session.queue.counts()
        parts = [tr("{answers} answers").format(answers=answers)]
        if accuracy is not None:
            text = tr("accuracy about {accuracy} ± {error} %")
            parts.insert(0, text.format(accuracy=round(100 * accuracy), error=round(100 * (error or 0))))
            if not self._answers or answers > self._answers[-1]:
                self._answers.append(float(answers))
                self._accuracy.append(float(accuracy))
                self.estimated.emit(self._answers, self._accuracy)
        if counts.get(SETTLED):
            parts.append(tr("{settled} settled by answers").format(settled=counts[SETTLED]))
        if values.get("enough"):
            parts.append(tr("the map hardly changes any more: good enough?"))
        elif values.get("changed") is not None:
            text = tr("{share} % of the map changed over 50 answers")
            parts.append(text.format(share=round(100 * float(values["changed"]))))
        self.described.emit(" · ".join(parts))
