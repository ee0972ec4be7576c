"""The plugin: workspaces are opened and closed here, and runs of the engine started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import QgsApplication, QgsProject, QgsRasterLayer, QgsSettings
from qgis.PyQt.QtCore import QCoreApplication, QLocale, QObject, Qt, QTranslator
from qgis.PyQt.QtGui import QIcon

from .answering.answering import Desk
from .answering.session import Session
from .compat import QAction, tr
from .layers import styling as dressing
from .panel import dock as steps
from .panel.dock import TsfalDock
from .panel.runs import Runs
from .store.shapes import scene_crs
from .store.workspace import Workspace, WorkspaceProblem

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
        self._opening: Workspace | None = None
        self._translator: QTranslator | None = None
        self._translate()

    def initProcessing(self) -> None:
        """Add the algorithms; ``qgis_process`` calls this alone."""
        from .provider import TsfalProvider

        self.provider = TsfalProvider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self) -> None:
        """Add dock, keys, options and algorithms."""
        from .panel.options import TsfalOptionsFactory

        self.initProcessing()
        self.options = TsfalOptionsFactory()
        self.iface.registerOptionsWidgetFactory(self.options)
        window = self.iface.mainWindow()
        self.dock = TsfalDock(self.author, window)
        self.runs = Runs(self.dock)
        self.desk = Desk(self.iface, self.dock)
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
            self.desk.remove()
            self.iface.unregisterOptionsWidgetFactory(self.options)
            self.iface.removeToolBarIcon(self.action)
            self.iface.removePluginMenu("TSFAL", self.action)
            self.iface.removeDockWidget(self.dock)
            self.dock.setParent(None)
            self.dock.deleteLater()
            self.dock = None
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None

    @property
    def session(self) -> Session | None:
        """The open workspace, if there is one."""
        return self.desk.session if self.dock is not None else None

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
        session = self.session
        if session is not None:
            self.desk.end()
            session.close()
        if self.dock is not None:
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

    def _begin_new(self, workspace: Workspace, author: str, path: str) -> None:
        if self._opening is workspace:  # nobody opened another one meanwhile
            self._begin(workspace, author, Path(path) if path else None)

    def _begin(self, workspace: Workspace, author: str, path: Path | None) -> None:
        self.desk.canvas.prepare_project(scene_crs(workspace.scenes[0]) if workspace.scenes else None)
        try:
            session = Session(workspace, author, path, self.iface.mapCanvas())
        except WorkspaceProblem as problem:
            self.desk.canvas.restore_project()
            self.dock.warn(str(problem))
            return
        self.dock.show_workspace(workspace)
        self.desk.begin(session)
        self.dock.go_to(steps.LAYERS)
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
        self.desk.show_query()
        self.desk.show_progress()
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

    def _wire(self) -> None:
        dock = self.dock
        dock.start.open_requested.connect(self.open_workspace)
        dock.start.create_requested.connect(self.create_workspace)
        dock.layers.zoom_requested.connect(lambda: self.session and self.session.layers.zoom_to_all())
        dock.train.train_requested.connect(self.train)
        dock.train.cancel_requested.connect(self.runs.cancel)
        dock.compare.round_chosen.connect(
            lambda number: self.session and self.session.layers.show_prediction(number)
        )
        dock.export.export_requested.connect(self.export)
        QgsProject.instance().layersWillBeRemoved.connect(self._layers_go)

    def _layers_go(self, ids: list[str]) -> None:
        session = self.session
        if session is None:
            return
        needed = session.layers.layer_ids() | {
            layer.id() for layer in (*session.store.labels, session.store.decisions)
        }
        if needed & set(ids):
            self.desk.end()
            session.detach()
            session.store.end()
            self.dock.close_workspace()

    def _translate(self) -> None:
        path = _HERE / "i18n" / f"tsfal_{QLocale().name()[:2]}.qm"
        if path.is_file():
            self._translator = QTranslator()
            self._translator.load(str(path))
            QCoreApplication.installTranslator(self._translator)
