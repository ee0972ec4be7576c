"""The plugin: actions, keys and wiring; what they do is in the other modules."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from qgis.core import QgsApplication, QgsFeature, QgsGeometry, QgsProject, QgsRasterLayer, QgsSettings
from qgis.PyQt.QtCore import QCoreApplication, QLocale, QObject, Qt, QTranslator
from qgis.PyQt.QtGui import QColor, QIcon

from . import dock as steps
from . import dressing
from .canvas import Canvas
from .compat import QAction, tr
from .dock import TsfalDock
from .keys import Key, Keys, WhileHeld, class_keys
from .labels import scene_crs
from .queue import DONE
from .runs import Runs
from .session import Session
from .workspace import Workspace, WorkspaceProblem

_AUTHOR = "tsfal/author"
_HERE = Path(__file__).parent


class TsfalPlugin(QObject):
    """What QGIS loads. Without a desktop only Processing is set up."""

    def __init__(self, iface: Any) -> None:
        super().__init__()
        self.iface = iface
        self.provider: Any = None
        self.options: Any = None
        self.dock: TsfalDock | None = None
        self.session: Session | None = None
        self._opening: Workspace | None = None
        self._held: WhileHeld | None = None
        self._translator: QTranslator | None = None
        self._translate()

    def initProcessing(self) -> None:
        """Add the algorithms; ``qgis_process`` calls this alone."""
        from .provider import TsfalProvider

        self.provider = TsfalProvider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self) -> None:
        """Add dock, keys, options and algorithms."""
        from .options import TsfalOptionsFactory

        self.initProcessing()
        self.options = TsfalOptionsFactory()
        self.iface.registerOptionsWidgetFactory(self.options)
        window = self.iface.mainWindow()
        self.dock = TsfalDock(self.author, window)
        self.runs = Runs(self.dock)
        self.canvas = Canvas(self.iface)
        self.canvas.drawn.connect(self._drawn)
        self.canvas.painted.connect(self._painted)
        self.canvas.picked.connect(lambda point: self.session and self.session.pick(point))
        self.canvas.tool_changed.connect(self._show_mode)
        named = {"undo": "mActionUndo", "redo": "mActionRedo"}
        found = {way: window.findChild(QAction, name) for way, name in named.items()}
        self._qgis_undo = {way: action for way, action in found.items() if action is not None}
        self.keys = Keys(self.iface, self._keys())
        names = (
            "next",
            "previous",
            "accept",
            "skip",
            "unsure",
            "polygon",
            "brush",
            "pick",
            "reopen",
            "undo",
            "redo",
        )
        self.dock.answer.add_tools([self.keys.button(name) for name in (*names, "smaller", "larger")])
        self.action = QAction(QIcon(str(_HERE / "icon.svg")), "TSFAL", window)
        self.action.setObjectName("tsfal_panel")
        self.action.setCheckable(True)
        self.iface.addToolBarIcon(self.action)
        self.iface.addPluginToMenu("TSFAL", self.action)
        self.dock.setToggleVisibilityAction(self.action)
        self.iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.dock)
        self._wire()

    def unload(self) -> None:
        """Take everything away again."""
        if self.dock is not None:
            self.runs.shut_down()
            self.close_workspace()
            QgsProject.instance().layersWillBeRemoved.disconnect(self._layers_go)
            for action in self._qgis_undo.values():
                action.changed.disconnect(self.keys.refresh)
            self.keys.remove()
            self.canvas.remove()
            self.iface.unregisterOptionsWidgetFactory(self.options)
            self.iface.removeToolBarIcon(self.action)
            self.iface.removePluginMenu("TSFAL", self.action)
            self.iface.removeDockWidget(self.dock)
            self.dock.deleteLater()
            self.dock = None
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None

    @property
    def author(self) -> str:
        """Who labels: as entered, else the name at log-in."""
        return str(QgsSettings().value(_AUTHOR, "") or "") or QgsApplication.userLoginName() or "me"

    def open_workspace(self, folder: str) -> None:
        """Open a workspace; what is wrong with it is shown in the dock."""
        author = self.dock.start.author.text().strip()
        if not author:
            self.dock.warn(tr("Enter your name first: labels are kept by author."))
            return
        if not folder.strip():
            self.dock.warn(tr("Choose the folder of a workspace first."))
            return
        try:
            workspace = Workspace.read(folder)
        except WorkspaceProblem as problem:
            self.dock.warn(str(problem))
            return
        QgsSettings().setValue(_AUTHOR, author)
        self.close_workspace()
        path = workspace.plain_label_file(author)
        if workspace.store or path is not None:
            self._begin(workspace, author, path)
            return
        self.dock.say(tr("Making a label file for {author} …").format(author=author))
        self._opening = workspace
        self.runs.ask(
            ["labels", "new", "--workspace", str(workspace.root), "--author", author],
            lambda result: self._begin_new(workspace, author, str(result.get("path") or "")),
            self.dock.warn,
        )

    def create_workspace(self, folder: str, arguments: list[str]) -> None:
        """Create a workspace and train its first round."""
        self.close_workspace()
        if self.runs.start(arguments, lambda _result: self.open_workspace(folder)):
            self.dock.start.folder.setFilePath(folder)
            self.dock.go_to(steps.TRAIN)

    def close_workspace(self) -> None:
        """Save, and take the layers away."""
        self._opening = None
        if self.session is not None:
            session, self.session = self.session, None
            self._let_go()
            self.canvas.rest()
            self.canvas.restore_project()
            session.close()
        if self.dock is not None:
            self.keys.switch(False)
            self.dock.close_workspace()

    def train(self) -> None:
        """Start the next round; one can go on labelling meanwhile."""
        if self.session is None:
            self.dock.warn(tr("Open a workspace first."))
            return
        problem = self.session.save()
        if problem:
            self.dock.warn(problem)
            return
        root = self.session.workspace.root
        self.runs.start(["train", "--workspace", str(root)], lambda _result: self._round_done(root))

    def export(self, folder: str, confidence: bool) -> None:
        """Write the map, and show it."""
        if self.session is None:
            self.dock.warn(tr("Open a workspace first."))
            return
        arguments = ["export", "--workspace", str(self.session.workspace.root)]
        arguments += ["--out", folder] if folder.strip() else []
        arguments += ["--confidence"] if confidence else []
        if self.runs.start(arguments, self._exported):
            self.dock.go_to(steps.TRAIN)

    def choose_class(self, class_id: int) -> None:
        """Draw with a class, or give the query's region that class."""
        if self.session is None:
            return
        self.session.class_id = class_id
        if self.canvas.drawing:
            self._show_mode()
        else:
            self.session.answer(class_id)

    def _begin_new(self, workspace: Workspace, author: str, path: str) -> None:
        if self._opening is workspace:  # nobody opened another one meanwhile
            self._begin(workspace, author, Path(path) if path else None)

    def _begin(self, workspace: Workspace, author: str, path: Path | None) -> None:
        self.canvas.prepare_project(scene_crs(workspace.scenes[0]) if workspace.scenes else None)
        try:
            session = Session(workspace, author, path, self.iface.mapCanvas())
        except WorkspaceProblem as problem:
            self.canvas.restore_project()
            self.dock.warn(str(problem))
            return
        self.session = session
        self.canvas.avoid_overlaps(session.store.labels)
        session.moved.connect(self._moved)
        session.changed.connect(self._changed)
        session.said.connect(self.dock.say)
        session.refused.connect(self._refused)
        session.store.history.changed.connect(self.keys.refresh)
        self.dock.show_workspace(workspace)
        self.keys.switch(True)
        self._moved()
        self._changed()
        self.dock.go_to(steps.LAYERS)
        self.iface.setActiveLayer(session.store.labels[0])
        self.iface.mapCanvas().setFocus()
        at_work = workspace.at_work()
        if at_work:
            text = tr("In use by {who}. You can label; training waits for it.")
            self.dock.warn(text.format(who=at_work))
        else:
            self.dock.say(tr("Labelling as {author}. N goes to the first query.").format(author=author))

    def _round_done(self, root: Path) -> None:
        if self.session is None or self.session.workspace.root != root:
            return
        try:
            workspace = Workspace.read(root)
            self.session.start_round(workspace)
        except WorkspaceProblem as problem:
            self.dock.warn(str(problem))
            return
        self.dock.show_workspace(workspace)
        self._moved()
        self._changed()
        self.dock.go_to(steps.COMPARE)
        self.dock.say(tr("Round {round} is complete.").format(round=workspace.round))

    def _exported(self, result: dict[str, Any]) -> None:
        if self.session is None:
            return
        project = QgsProject.instance()
        group = self.session.layers.group
        maps = group.findGroup("Maps") or group.insertGroup(0, "Maps")
        for text in result.get("maps", []):
            for node in maps.findLayers():
                if node.layer() is not None and node.layer().source() == text:
                    project.removeMapLayer(node.layerId())
            layer = QgsRasterLayer(text, Path(text).stem)
            if layer.isValid():
                dressing.raster(layer, "prediction", self.session.workspace.classes)
                layer.setOpacity(1)
                project.addMapLayer(layer, False)
                maps.addLayer(layer).setExpanded(False)
        self.dock.go_to(steps.EXPORT)
        count = len(result.get("maps", []))
        self.dock.say(tr("{count} maps are written and shown.").format(count=count))

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

    def _wire(self) -> None:
        dock = self.dock
        dock.start.open_requested.connect(self.open_workspace)
        dock.start.create_requested.connect(self.create_workspace)
        dock.layers.zoom_requested.connect(lambda: self.session and self.session.layers.zoom_to_all())
        dock.answer.class_chosen.connect(self.choose_class)
        dock.train.train_requested.connect(self.train)
        dock.train.cancel_requested.connect(self.runs.cancel)
        dock.compare.round_chosen.connect(
            lambda number: self.session and self.session.layers.show_prediction(number)
        )
        dock.export.export_requested.connect(self.export)
        QgsProject.instance().layersWillBeRemoved.connect(self._layers_go)
        for action in self._qgis_undo.values():
            action.changed.connect(self.keys.refresh)

    def _may_go(self, way: str) -> bool:
        # QGIS's own undo comes first; where it has nothing, the key takes back what is already saved.
        own = self._qgis_undo.get(way)
        if self.session is None or (own is not None and own.isEnabled()):
            return False
        return getattr(self.session.store.history, f"can_{way}")

    def _do(self, name: str) -> None:
        if self.session is not None:
            self.dock.say("")
            getattr(self.session, name)()

    def _class_key(self, number: int) -> None:
        classes = self.session.workspace.classes if self.session else ()
        if number <= len(classes):
            self.choose_class(classes[number - 1].id)

    def _tool(self, name: str) -> None:
        if self.session is None:
            return
        self.canvas.toggle(
            name, self.session.scene, self.session.store.layer_for(scene_crs(self.session.scene))
        )
        self.dock.go_to(steps.ANSWER)

    def _resize(self, step: int) -> None:
        self.canvas.brush.resize(step)
        self._show_mode()

    def _hide(self) -> None:
        if self.session is not None and self._held is None:
            key = self.keys.actions["hide"].shortcut()[0]
            self.session.layers.hide_overlays(True)
            self._held = WhileHeld(int(key) if isinstance(key, int) else key.key(), self._show_again)

    def _show_again(self) -> None:
        self._held = None
        if self.session is not None:
            self.session.layers.hide_overlays(False)

    def _let_go(self) -> None:
        if self._held is not None:
            self._held.stop()

    def _drawn(self, feature: QgsFeature) -> None:
        if self.session is not None:
            layer = self.session.store.layer_of(self.session.scene)
            self.session.draw(feature.geometry(), layer.crs(), "drawn")

    def _painted(self, shape: QgsGeometry) -> None:
        if self.session is not None:
            layer = self.session.store.layer_of(self.canvas.brush.scene)
            self.session.draw(shape, layer.crs(), "brushed")

    def _moved(self) -> None:
        session = self.session
        if session is None:
            return
        query = session.current
        if query is not None:
            self.dock.go_to(steps.ANSWER)
            self.canvas.brush.scene = session.scene
            if query.suggested is not None and not self.canvas.drawing:
                session.class_id = query.suggested
        status = session.queue.status(query.qid) if query else ""
        self.dock.answer.show_query(query, status, session.workspace.classes)
        self._show_mode()

    def _changed(self) -> None:
        session = self.session
        if session is None:
            return
        answered = sum(
            each.pixels for each in session.queue.queries if session.queue.status(each.qid) == DONE
        )
        self.dock.show_progress(session.workspace, session.queue.counts(), answered)
        query = session.current
        status = session.queue.status(query.qid) if query else ""
        self.dock.answer.show_query(query, status, session.workspace.classes)

    def _show_mode(self) -> None:
        for name in ("polygon", "brush", "pick"):
            self.keys.actions[name].setChecked(self.canvas.tool == name)
        if self.session is None:
            return
        self.dock.answer.classes.mark(self.session.class_id)
        info = next((c for c in self.session.workspace.classes if c.id == self.session.class_id), None)
        if info is not None:
            self.canvas.brush.set_colour(QColor(*info.colour))
        texts = {
            "polygon": tr("Polygon: number keys choose the class; right click ends it; D or Esc leaves."),
            "brush": tr("Brush of {size} pixels: number keys choose the class; B leaves."),
            "pick": tr("Click a query."),
        }
        text = texts.get(self.canvas.tool, tr("Number keys give the whole region a class and go on."))
        self.dock.answer.mode.setText(text.format(size=self.canvas.brush.size))

    def _refused(self, text: str) -> None:
        self.dock.warn(text)
        # The message bar shows HTML; names in the text must stay text.
        self.iface.messageBar().pushMessage("TSFAL", html.escape(text), duration=6)

    def _layers_go(self, ids: list[str]) -> None:
        session = self.session
        if session is None:
            return
        needed = session.layers.layer_ids() | {
            layer.id() for layer in (*session.store.labels, session.store.decisions)
        }
        if needed & set(ids):
            self.session = None
            self._let_go()
            session.detach()
            session.store.end()
            self.canvas.rest()
            self.canvas.restore_project()
            self.keys.switch(False)
            self.dock.close_workspace()

    def _translate(self) -> None:
        path = _HERE / "i18n" / f"tsfal_{QLocale().name()[:2]}.qm"
        if path.is_file():
            self._translator = QTranslator()
            self._translator.load(str(path))
            QCoreApplication.installTranslator(self._translator)
