"""The connection of keys, map tools and the panel to the session that is open."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

from qgis.core import QgsFeature, QgsGeometry, QgsPointXY
from qgis.PyQt.QtCore import QObject, pyqtSignal
from qgis.PyQt.QtGui import QColor

from ..compat import QAction, tr
from ..panel.dock import Step, TsfalDock
from ..store.queries import DONE, Query
from .batch_approval import BatchApproval
from .canvas import CanvasTools
from .keys import Key, Keys, WhileHeld, class_keys
from .maptools import nowhere
from .session import Session

_BUTTONS = (
    "next previous accept same_as_last skip unsure batch polygon brush hunt "
    "pick reopen undo redo smaller larger"
)
# A region without a suggestion that is at least as large as a small chip rarely is of one class.
_MIXED_PIXELS = 64 * 64
_QGIS_ACTIONS = {"undo": "mActionUndo", "redo": "mActionRedo"}


class Answering(QObject):
    """Passes keys and strokes to the session, and shows its state on the panel.

    Args:
        iface: QGIS's interface.
        dock: the panel.

    Attributes:
        session: the session, or None.
        tools: the tools on the canvas.
        keys: the actions.
    """

    live_map_toggled = pyqtSignal()

    def __init__(self, iface: Any, dock: TsfalDock) -> None:
        super().__init__()
        self._iface = iface
        self._dock = dock
        self._held_key: WhileHeld | None = None
        self._drawing_begun = False
        self._batch: BatchApproval | None = None
        self.session: Session | None = None
        self.tools = CanvasTools(iface)
        self.tools.drawn.connect(self._drawn)
        self.tools.painted.connect(self._painted)
        self.tools.picked.connect(lambda point: self.session and self.session.pick(point))
        self.tools.hunted.connect(self._label_place)
        self.tools.tool_changed.connect(self._show_mode)
        found = {name: iface.mainWindow().findChild(QAction, own) for name, own in _QGIS_ACTIONS.items()}
        self._qgis_actions = {name: action for name, action in found.items() if action is not None}
        self.keys = Keys(iface, self._make_keys())
        for action in self._qgis_actions.values():
            action.changed.connect(self.keys.refresh)
        dock.answer.add_tools([self.keys.button(name) for name in _BUTTONS.split()])
        dock.answer.class_chosen.connect(self.choose_class)

    def begin(self, session: Session) -> None:
        """Connect a session.

        Args:
            session: the session.
        """
        self.session = session
        self._drawing_begun = False
        self.tools.allow_overlaps()
        self.tools.hunt.find = session.place_at
        session.moved.connect(self.show_query)
        session.changed.connect(self.show_progress)
        session.message.connect(self._dock.show_message)
        session.problem.connect(self._show_problem)
        session.store.history.changed.connect(self.keys.refresh)
        self.keys.switch(True)
        self.show_query()
        self.show_progress()
        self._iface.setActiveLayer(session.store.labels[0])
        self._iface.mapCanvas().setFocus()

    def end(self) -> None:
        """Disconnect the session, which the caller closes."""
        if self._batch is not None:
            self._batch.end()
            self._batch = None
        self.session = None
        if self._held_key is not None:
            self._held_key.stop()
        self.tools.deactivate()
        self.tools.hunt.find = nowhere
        self.tools.restore_project()
        self.keys.switch(False)

    def remove(self) -> None:
        """Remove keys and tools from QGIS."""
        for action in self._qgis_actions.values():
            action.changed.disconnect(self.keys.refresh)
        self.keys.remove()
        self.tools.remove()

    def choose_class(self, class_id: int) -> None:
        """Draw with a class from now on; while no drawing tool is active, label the query's region with it.

        Args:
            class_id: id of the class.
        """
        if self.session is None:
            return
        self.session.class_id = class_id
        if self.tools.drawing:
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
            self._dock.go_to(Step.ANSWER)
            self.tools.brush.scene = session.scene
            if query.suggested is not None and not self.tools.drawing:
                session.class_id = query.suggested
            self._begin_drawing(query)
        self._describe_query()
        self._show_mode()

    def _begin_drawing(self, query: Query) -> None:
        """Activate the polygon tool, once in a session, for a region that one key does not answer."""
        cold = query.suggested is None and query.pixels >= _MIXED_PIXELS
        if cold and not self._drawing_begun and not self.tools.active:
            self._drawing_begun = True
            self._toggle_tool("polygon")

    def show_progress(self) -> None:
        """Show the counts of queries and the budget."""
        session = self.session
        if session is None:
            return
        queue = session.queue
        pixels = sum(query.pixels for query in queue.queries if queue.status(query.qid) == DONE)
        self._dock.show_progress(session.workspace, queue.counts(), pixels)
        self._describe_query()

    def _describe_query(self) -> None:
        session = self.session
        if session is not None:
            query = session.current
            status = session.queue.status(query.qid) if query else ""
            self._dock.answer.show_query(query, status, session.workspace.classes)

    def _make_keys(self) -> list[Key]:
        def act(name: str) -> Callable[[], None]:
            return lambda: self._act(name)

        return [
            *class_keys(self._class_key),
            Key("next", tr("Next"), "N", act("next")),
            Key("previous", tr("Previous"), "P", act("previous")),
            Key("accept", tr("Accept / done"), "Return", act("accept")),
            Key("same_as_last", tr("Same as last"), "L", act("answer_as_before")),
            Key("batch", tr("Accept many"), "A", self._begin_batch),
            Key("skip", tr("Skip"), "X", act("skip")),
            Key("unsure", tr("Unsure"), "U", act("unsure")),
            Key("rest", tr("The rest is this class"), "R", act("answer_rest")),
            Key("polygon", tr("Polygon"), "D", lambda: self._toggle_tool("polygon"), checkable=True),
            Key("brush", tr("Brush"), "B", lambda: self._toggle_tool("brush"), checkable=True),
            Key("hunt", tr("Click wrong places"), "F", lambda: self._toggle_tool("hunt"), checkable=True),
            Key("pick", tr("Pick a query"), "", lambda: self._toggle_tool("pick"), checkable=True),
            Key("smaller", tr("Smaller brush"), "[", lambda: self._resize_brush(-1)),
            Key("larger", tr("Larger brush"), "]", lambda: self._resize_brush(1)),
            Key("reopen", tr("Reopen the last"), "O", act("reopen")),
            Key("undo", tr("Undo"), "Ctrl+Z", act("undo"), applies=lambda: self._can("undo")),
            Key("redo", tr("Redo"), "Ctrl+Shift+Z", act("redo"), applies=lambda: self._can("redo")),
            Key("live_map", tr("Live map"), "M", self.live_map_toggled.emit),
            Key("hide", tr("Hide overlays while held"), "H", self._hide_overlays),
        ]

    def _can(self, name: str) -> bool:
        # QGIS's own undo comes first; if it has nothing to undo, the key undoes changes that are saved.
        own = self._qgis_actions.get(name)
        if self.session is None or (own is not None and own.isEnabled()):
            return False
        history = self.session.store.history
        return history.can_undo if name == "undo" else history.can_redo

    def _act(self, name: str) -> None:
        if self.session is not None:
            self._dock.show_message("")
            getattr(self.session, name)()

    def _class_key(self, number: int) -> None:
        classes = self.session.workspace.classes if self.session else ()
        if number <= len(classes):
            self._dock.show_message("")
            self.choose_class(classes[number - 1].id)

    def _toggle_tool(self, name: str) -> None:
        if self.session is not None:
            scene = self.session.scene
            self.tools.toggle(name, scene, self.session.store.layer_of(scene))
            self._dock.go_to(Step.ANSWER)

    def _begin_batch(self) -> None:
        if self.session is not None:
            if self._batch is None:
                self._batch = BatchApproval(self.session, self._iface.mainWindow())
                self._batch.message.connect(self._dock.show_message)
            self._batch.begin()

    def _resize_brush(self, step: int) -> None:
        self.tools.brush.resize(step)
        self._show_mode()

    def _hide_overlays(self) -> None:
        if self.session is not None and self._held_key is None:
            self.session.layers.hide_overlays(True)
            self._held_key = WhileHeld(self.keys.actions["hide"].shortcut(), self._show_overlays)

    def _show_overlays(self) -> None:
        self._held_key = None
        if self.session is not None:
            self.session.layers.hide_overlays(False)

    def _drawn(self, feature: QgsFeature) -> None:
        if self.session is not None:
            layer = self.session.store.layer_of(self.session.scene)
            self.session.draw(feature.geometry(), layer.crs(), "drawn")

    def _painted(self, shape: QgsGeometry) -> None:
        if self.session is not None and self.tools.brush.scene is not None:
            layer = self.session.store.layer_of(self.tools.brush.scene)
            self.session.draw(shape, layer.crs(), "brushed")

    def _label_place(self, point: QgsPointXY, steps: int) -> None:
        if self.session is not None:
            self.session.label_place(point, steps)

    def _show_mode(self) -> None:
        for name in ("polygon", "brush", "hunt", "pick"):
            self.keys.actions[name].setChecked(self.tools.active == name)
        if self.session is None:
            return
        query = self.session.current
        # Without a suggestion nothing is marked, unless something is being drawn in the class that is marked.
        suggested = query.suggested if query is not None else None
        self._dock.answer.classes.mark(self.session.class_id if self.tools.drawing else suggested)
        info = next((c for c in self.session.workspace.classes if c.id == self.session.class_id), None)
        if info is not None:
            self.tools.brush.set_colour(QColor(*info.colour))
            self.tools.hunt.set_colour(QColor(*info.colour))
        texts = {
            "polygon": tr("Polygon: number keys choose the class; a right click ends it; D leaves the tool."),
            "brush": tr("Brush of {size} pixels: number keys choose the class; B leaves the tool."),
            "hunt": tr(
                "Wrong places: number keys choose the class; the wheel grows and shrinks the place; "
                "each click labels it; F leaves the tool."
            ),
            "pick": tr("Click a query."),
        }
        text = texts.get(self.tools.active, tr("A number key labels the entire region."))
        self._dock.answer.mode_text.setText(text.format(size=self.tools.brush.size))

    def _show_problem(self, text: str) -> None:
        self._dock.show_problem(text)
        # The message bar shows HTML; names in the text must stay text.
        self._iface.messageBar().pushMessage("TSFAL", html.escape(text), duration=6)
