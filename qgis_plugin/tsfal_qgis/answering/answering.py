"""The desk at which a person answers: keys, tools and the panel's page, all about one session."""

from __future__ import annotations

import html
from typing import Any

from qgis.core import QgsFeature, QgsGeometry
from qgis.PyQt.QtCore import QObject
from qgis.PyQt.QtGui import QColor

from ..compat import QAction, tr
from ..panel import dock as steps
from ..panel.dock import TsfalDock
from .canvas import Canvas
from .keys import Key, Keys, WhileHeld, class_keys
from .query_queue import DONE
from .session import Session

_BUTTONS = "next previous accept skip unsure polygon brush pick reopen undo redo smaller larger"
_QGIS_UNDO = {"undo": "mActionUndo", "redo": "mActionRedo"}


class Desk(QObject):
    """Ties keys and tools to the session that is open.

    Attributes:
        session: the session, or None.
        canvas: the tools.
        keys: the actions.
    """

    def __init__(self, iface: Any, dock: TsfalDock) -> None:
        super().__init__()
        self._iface = iface
        self._dock = dock
        self._held: WhileHeld | None = None
        self.session: Session | None = None
        self.canvas = Canvas(iface)
        self.canvas.drawn.connect(self._drawn)
        self.canvas.painted.connect(self._painted)
        self.canvas.picked.connect(lambda point: self.session and self.session.pick(point))
        self.canvas.tool_changed.connect(self._show_mode)
        found = {way: iface.mainWindow().findChild(QAction, name) for way, name in _QGIS_UNDO.items()}
        self._qgis_undo = {way: action for way, action in found.items() if action is not None}
        self.keys = Keys(iface, self._keys())
        for action in self._qgis_undo.values():
            action.changed.connect(self.keys.refresh)
        dock.answer.add_tools([self.keys.button(name) for name in _BUTTONS.split()])
        dock.answer.class_chosen.connect(self.choose_class)

    def begin(self, session: Session) -> None:
        """Work on a session."""
        self.session = session
        self.canvas.avoid_overlaps(session.layers.apart(session.store.labels))
        session.moved.connect(self.show_query)
        session.changed.connect(self.show_progress)
        session.said.connect(self._dock.say)
        session.refused.connect(self._refused)
        session.store.history.changed.connect(self.keys.refresh)
        self.keys.switch(True)
        self.show_query()
        self.show_progress()
        self._iface.setActiveLayer(session.store.labels[0])
        self._iface.mapCanvas().setFocus()

    def end(self) -> None:
        """Lay everything down; the session is closed by who opened it."""
        self.session = None
        if self._held is not None:
            self._held.stop()
        self.canvas.rest()
        self.canvas.restore_project()
        self.keys.switch(False)

    def remove(self) -> None:
        """Take keys and tools away."""
        for action in self._qgis_undo.values():
            action.changed.disconnect(self.keys.refresh)
        self.keys.remove()
        self.canvas.remove()

    def choose_class(self, class_id: int) -> None:
        """Draw with a class, or give the query's region that class."""
        if self.session is None:
            return
        self.session.class_id = class_id
        if self.canvas.drawing:
            self._show_mode()
        else:
            self.session.answer(class_id)

    def show_query(self) -> None:
        """Show the current query on its page."""
        session = self.session
        if session is None:
            return
        query = session.current
        if query is not None:
            self._dock.go_to(steps.ANSWER)
            self.canvas.brush.scene = session.scene
            if query.suggested is not None and not self.canvas.drawing:
                session.class_id = query.suggested
        self._tell_query()
        self._show_mode()

    def show_progress(self) -> None:
        """Show what is answered, and what it cost."""
        session = self.session
        if session is None:
            return
        queue = session.queue
        pixels = sum(query.pixels for query in queue.queries if queue.status(query.qid) == DONE)
        self._dock.show_progress(session.workspace, queue.counts(), pixels)
        self._tell_query()

    def _tell_query(self) -> None:
        session = self.session
        if session is not None:
            query = session.current
            status = session.queue.status(query.qid) if query else ""
            self._dock.answer.show_query(query, status, session.workspace.classes)

    def _keys(self) -> list[Key]:
        def do(name: str) -> Any:
            return lambda: self._do(name)

        return [
            *class_keys(self._class_key),
            Key("next", tr("Next"), "N", do("next")),
            Key("previous", tr("Previous"), "P", do("previous")),
            Key("accept", tr("Accept / done"), "Return", do("accept")),
            Key("skip", tr("Skip"), "X", do("skip")),
            Key("unsure", tr("Unsure"), "U", do("unsure")),
            Key("polygon", tr("Polygon"), "D", lambda: self._tool("polygon"), checkable=True),
            Key("brush", tr("Brush"), "B", lambda: self._tool("brush"), checkable=True),
            Key("pick", tr("Pick a query"), "", lambda: self._tool("pick"), checkable=True),
            Key("smaller", tr("Smaller brush"), "[", lambda: self._resize(-1)),
            Key("larger", tr("Larger brush"), "]", lambda: self._resize(1)),
            Key("reopen", tr("Reopen the last"), "O", do("reopen")),
            Key("undo", tr("Take back"), "Ctrl+Z", do("undo"), may=lambda: self._may_go("undo")),
            Key("redo", tr("Do again"), "Ctrl+Shift+Z", do("redo"), may=lambda: self._may_go("redo")),
            Key("hide", tr("Hide overlays while held"), "H", self._hide),
        ]

    def _may_go(self, way: str) -> bool:
        # QGIS's own undo comes first; where it has nothing, the key takes back what is already saved.
        own = self._qgis_undo.get(way)
        if self.session is None or (own is not None and own.isEnabled()):
            return False
        history = self.session.store.history
        return history.can_undo if way == "undo" else history.can_redo

    def _do(self, name: str) -> None:
        if self.session is not None:
            self._dock.say("")
            getattr(self.session, name)()

    def _class_key(self, number: int) -> None:
        classes = self.session.workspace.classes if self.session else ()
        if number <= len(classes):
            self._dock.say("")
            self.choose_class(classes[number - 1].id)

    def _tool(self, name: str) -> None:
        if self.session is not None:
            scene = self.session.scene
            self.canvas.toggle(name, scene, self.session.store.layer_of(scene))
            self._dock.go_to(steps.ANSWER)

    def _resize(self, step: int) -> None:
        self.canvas.brush.resize(step)
        self._show_mode()

    def _hide(self) -> None:
        if self.session is not None and self._held is None:
            self.session.layers.hide_overlays(True)
            self._held = WhileHeld(self.keys.actions["hide"].shortcut(), self._show_again)

    def _show_again(self) -> None:
        self._held = None
        if self.session is not None:
            self.session.layers.hide_overlays(False)

    def _drawn(self, feature: QgsFeature) -> None:
        if self.session is not None:
            layer = self.session.store.layer_of(self.session.scene)
            self.session.draw(feature.geometry(), layer.crs(), "drawn")

    def _painted(self, shape: QgsGeometry) -> None:
        if self.session is not None and self.canvas.brush.scene is not None:
            layer = self.session.store.layer_of(self.canvas.brush.scene)
            self.session.draw(shape, layer.crs(), "brushed")

    def _show_mode(self) -> None:
        for name in ("polygon", "brush", "pick"):
            self.keys.actions[name].setChecked(self.canvas.tool == name)
        if self.session is None:
            return
        self._dock.answer.classes.mark(self.session.class_id)
        info = next((c for c in self.session.workspace.classes if c.id == self.session.class_id), None)
        if info is not None:
            self.canvas.brush.set_colour(QColor(*info.colour))
        texts = {
            "polygon": tr("Polygon: number keys choose the class; right click ends it; D leaves."),
            "brush": tr("Brush of {size} pixels: number keys choose the class; B leaves."),
            "pick": tr("Click a query."),
        }
        text = texts.get(self.canvas.tool, tr("Number keys give the whole region a class and go on."))
        self._dock.answer.mode.setText(text.format(size=self.canvas.brush.size))

    def _refused(self, text: str) -> None:
        self._dock.warn(text)
        # The message bar shows HTML; names in the text must stay text.
        self._iface.messageBar().pushMessage("TSFAL", html.escape(text), duration=6)
