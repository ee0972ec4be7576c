"""The plugin: opens and closes workspaces, and starts runs of the engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import QgsApplication, QgsProject, QgsSettings
from qgis.PyQt.QtCore import QCoreApplication, QObject, Qt, QTranslator
from qgis.PyQt.QtGui import QIcon

from .answering.answering import Answering
from .answering.session import Session
from .compat import QAction, tr
from .engine.protocol import STOPPED
from .layers.exported_maps import show_maps
from .live.following import Following
from .live.live_panel import LivePanel
from .panel.dock import Step, TsfalDock
from .panel.message_line import Owner
from .panel.runs import EngineRuns
from .store.shapes import scene_crs
from .store.workspace import Workspace, WorkspaceProblem

_AUTHOR = "tsfal/author"
_FOLDER = Path(__file__).parent


class TsfalPlugin(QObject):
    """The object that QGIS loads. Without a desktop it adds the algorithms only.

    Args:
        iface: QGIS's interface; None without a desktop.

    Attributes:
        provider: the algorithms.
        options: the factory of the page in QGIS's options.
        dock: the panel; None without a desktop.
        following: the engine's live session in the open workspace; None without a workspace.
    """

    def __init__(self, iface: Any) -> None:
        super().__init__()
        self.iface = iface
        self.provider: Any = None
        self.options: Any = None
        self.dock: TsfalDock | None = None
        self.following: Following | None = None
        self._opening: Workspace | None = None
        # Folder and arguments, until the first round is there.
        self._creation: tuple[str, list[str]] | None = None
        self._translator: QTranslator | None = None
        self._install_translator()

    def initProcessing(self) -> None:
        """Add the algorithms; ``qgis_process`` calls only this."""
        from .provider import TsfalProvider

        self.provider = TsfalProvider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self) -> None:
        """Add the panel, the keys, the options and the algorithms."""
        from .panel.options import TsfalOptionsFactory

        self.initProcessing()
        self.options = TsfalOptionsFactory()
        self.iface.registerOptionsWidgetFactory(self.options)
        window = self.iface.mainWindow()
        self.dock = TsfalDock(self.author, window)
        self.runs = EngineRuns(self.dock)
        self.answering = Answering(self.iface, self.dock)
        self.live = LivePanel()
        self.dock.answer.add_below(self.live)
        self.action = QAction(QIcon(str(_FOLDER / "icon.svg")), "TSFAL", window)
        self.action.setObjectName("tsfal_panel")
        self.action.setCheckable(True)
        self.iface.addToolBarIcon(self.action)
        self.iface.addPluginToMenu("TSFAL", self.action)
        self.dock.setToggleVisibilityAction(self.action)
        self.iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.dock)
        self._connect()

    def unload(self) -> None:
        """Remove everything from QGIS."""
        if self.dock is not None:
            self.runs.shut_down()
            self.close_workspace()
            QgsProject.instance().layersWillBeRemoved.disconnect(self._layers_removed)
            self.answering.remove()
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
        """The session in the open workspace, if there is one."""
        return self.answering.session if self.dock is not None else None

    @property
    def author(self) -> str:
        """The annotator's name: as entered, else the login name."""
        return str(QgsSettings().value(_AUTHOR, "") or "") or QgsApplication.userLoginName() or "me"

    def open_workspace(self, folder: str) -> None:
        """Open a workspace; the panel shows a problem if it cannot be opened.

        Args:
            folder: folder of the workspace.
        """
        author = self.dock.start.author.text().strip()
        if not author:
            self.dock.show_problem(tr("Enter your name first: labels are kept by author."), Owner.FORM)
            return
        if not folder.strip():
            self.dock.show_problem(tr("Choose the folder of a workspace first."), Owner.FORM)
            return
        try:
            workspace = Workspace.read(folder)
        except WorkspaceProblem as problem:
            self.dock.show_problem(str(problem), Owner.FORM)
            return
        QgsSettings().setValue(_AUTHOR, author)
        self._creation = None
        self.dock.messages.end(Owner.FORM, *([] if self.runs.running else [Owner.RUN]))
        self.close_workspace()
        path = workspace.plain_label_file(author)
        if workspace.store or path is not None:
            self._begin(workspace, author, path)
            return
        self.dock.show_message(tr("Creating a label file for {author} …").format(author=author), Owner.FORM)
        self._opening = workspace
        self.runs.run_beside(
            ["labels", "new", "--workspace", str(workspace.root), "--author", author],
            lambda result: self._begin_with_new_file(workspace, author, str(result.get("path") or "")),
            lambda problem: self.dock.show_problem(problem, Owner.FORM),
        )

    def create_workspace(self, folder: str, arguments: list[str]) -> None:
        """Create a workspace, train its first round and open it.

        Args:
            folder: folder of the workspace.
            arguments: the engine's command and options.
        """
        if not self.runs.running:
            self.close_workspace()
        if self.runs.start(
            arguments,
            lambda _result: self.open_workspace(folder),
            stopped=lambda code: self._creation_stopped(folder, code),
        ):
            self._creation = folder, arguments
            self.dock.start.folder.setFilePath(folder)
            self.dock.show_creation(Path(folder).name, True)

    def close_workspace(self) -> None:
        """Save, and remove the layers."""
        self._opening = None
        session = self.session
        if session is not None:
            self._stop_following()
            self.answering.end()
            session.close()
        if self.dock is not None:
            self.dock.close_workspace()

    def train(self) -> None:
        """Start the next round; the annotator can continue to label meanwhile."""
        if self.session is None and self._creation is not None:
            folder, arguments = self._creation
            begun = (Path(folder) / "workspace.json").is_file()
            self.create_workspace(folder, ["train", "--workspace", folder] if begun else arguments)
            return
        if self.session is None:
            self.dock.show_problem(tr("Open a workspace first."), Owner.FORM)
            return
        problem = self.session.save()
        if problem:
            self.dock.show_problem(problem, Owner.RUN)
            return
        root = self.session.workspace.root
        self.runs.start(["train", "--workspace", str(root)], lambda _result: self._round_done(root))

    def export(self, options: list[str]) -> None:
        """Write the map, and add it to the project.

        Args:
            options: of the command, as the page states them.
        """
        if self.session is None:
            self.dock.show_problem(tr("Open a workspace first."), Owner.FORM)
            return
        arguments = ["export", "--workspace", str(self.session.workspace.root), *options]
        if self.runs.start(arguments, self._exported):
            self.dock.go_to(Step.TRAIN)

    def _creation_stopped(self, folder: str, code: int) -> None:
        if self.dock is None or self.session is not None:
            return  # another workspace was opened meanwhile
        if code == STOPPED or (Path(folder) / "workspace.json").is_file():
            self.dock.show_creation(Path(folder).name, False)
        else:
            self._creation = None
            self.dock.close_workspace()  # the form is shown again, with the reason below

    def _begin_with_new_file(self, workspace: Workspace, author: str, path: str) -> None:
        if self._opening is workspace:  # the user has not opened another one meanwhile
            self._begin(workspace, author, Path(path) if path else None)

    def _begin(self, workspace: Workspace, author: str, path: Path | None) -> None:
        self.answering.tools.prepare_project(scene_crs(workspace.scenes[0]) if workspace.scenes else None)
        try:
            session = Session(workspace, author, path, self.iface.mapCanvas())
        except WorkspaceProblem as problem:
            self.answering.tools.restore_project()
            self.dock.show_problem(str(problem), Owner.FORM)
            return
        self.dock.messages.end(Owner.FORM)
        self.dock.show_workspace(workspace)
        self.answering.begin(session)
        self._follow(session)
        self.dock.go_to(Step.LAYERS)
        engine = workspace.running_engine()
        if engine:
            text = tr("In use by {engine}. You can label; training waits for it.")
            self.dock.show_problem(text.format(engine=engine), Owner.WORKSPACE)
        else:
            text = tr("Labelling as {author}. N goes to the first query.")
            self.dock.show_message(text.format(author=author), Owner.ANSWER)

    def _follow(self, session: Session) -> None:
        """Start the engine's live session beside the annotator's."""
        self.following = Following(session, self.iface.mapCanvas())
        self.live.begin(Following.enabled())
        self.following.described.connect(self.live.text.setText)
        self.following.estimated.connect(self.live.show_estimates)
        self.following.settled.connect(self.dock.show_message)
        if Following.enabled():
            self.following.begin()

    def _stop_following(self) -> None:
        if self.following is not None:
            self.following.end()
            self.following = None

    def _round_done(self, root: Path) -> None:
        if self.session is None or self.session.workspace.root != root:
            return
        try:
            workspace = Workspace.read(root)
            self.session.start_round(workspace)
        except WorkspaceProblem as problem:
            self.dock.show_problem(str(problem), Owner.RUN)
            return
        self.dock.messages.end(Owner.WORKSPACE)
        self.dock.show_workspace(workspace)
        if self.following is not None and not self.following.engine.running and Following.enabled():
            self.following.begin()
        self.answering.show_query()
        self.answering.show_progress()
        self.dock.go_to(Step.COMPARE)
        self.dock.show_message(tr("Round {round} is complete.").format(round=workspace.round), Owner.RUN)

    def _exported(self, result: dict[str, Any]) -> None:
        if self.session is None:
            return
        paths = [str(path) for path in result.get("maps", [])]
        show_maps(self.session.layers, paths)
        self.dock.go_to(Step.EXPORT)
        self.dock.show_message(tr("{count} maps are written and shown.").format(count=len(paths)), Owner.RUN)

    def _connect(self) -> None:
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
        self.live.switched.connect(lambda on: self.following and self.following.switch(on))
        self.live.map_shown.connect(lambda on: self.following and self.following.show_map(on))
        self.answering.live_map_toggled.connect(self.live.map.click)
        QgsProject.instance().layersWillBeRemoved.connect(self._layers_removed)

    def _layers_removed(self, ids: list[str]) -> None:
        session = self.session
        if session is None:
            return
        needed = session.layers.queries.layer_ids() | {
            layer.id() for layer in (*session.store.labels, session.store.decisions)
        }
        if needed & set(ids):
            self._stop_following()
            self.answering.end()
            session.detach()
            session.store.stop_editing()
            self.dock.close_workspace()

    def _install_translator(self) -> None:
        path = _FOLDER / "i18n" / f"tsfal_{QgsApplication.locale()[:2]}.qm"
        if path.is_file():
            self._translator = QTranslator()
            self._translator.load(str(path))
            QCoreApplication.installTranslator(self._translator)
