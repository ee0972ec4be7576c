"""The pages of the dock, one for each step of the work; widgets and signals only."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QGridLayout,
    QLineEdit,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from .compat import tr
from .queue import Query
from .widgets import ClassButtons, ClassTable, Curve, plain
from .workspace import ClassInfo, Workspace


def button(text: str, name: str, tip: str = "") -> QPushButton:
    """A button that leaves the keyboard to the canvas."""
    made = QPushButton(text)
    made.setObjectName(name)
    made.setToolTip(tip)
    made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return made


class Page(QWidget):
    """A page with a column of widgets."""

    def __init__(self) -> None:
        super().__init__()
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(2, 4, 2, 2)

    def add(self, *widgets: QWidget) -> None:
        """Append widgets."""
        for widget in widgets:
            self.column.addWidget(widget)


class StartPage(Page):
    """Choose a workspace, or create one."""

    open_requested = pyqtSignal(str)
    create_requested = pyqtSignal(str, list)
    problem_found = pyqtSignal(str)

    def __init__(self, author: str) -> None:
        super().__init__()
        form = _form()
        self.author = QLineEdit(author)
        self.author.setObjectName("author")
        form.addRow(tr("Your name"), self.author)
        self.folder = _folder("workspace_folder")
        form.addRow(tr("Workspace"), self.folder)
        self.column.addLayout(form)
        opening = button(tr("Open workspace"), "open_workspace")
        opening.clicked.connect(lambda: self.open_requested.emit(self.folder.filePath()))
        self.add(
            opening, plain(tr("or create it from a folder of orthophotos (dsm/ and labels/ beside them):"))
        )
        form = _form()
        self.rasters = _folder("raster_folder")
        form.addRow(tr("Orthophotos"), self.rasters)
        self.budget = QLineEdit()
        self.budget.setObjectName("budget_goal")
        self.budget.setPlaceholderText(tr("share labelled in the end, such as 0.2"))
        form.addRow(tr("Budget"), self.budget)
        self.database = QLineEdit()
        self.database.setPlaceholderText(tr("postgresql://… for a team; else empty"))
        form.addRow(tr("Label store"), self.database)
        self.further = QLineEdit()
        self.further.setObjectName("further_options")
        self.further.setPlaceholderText(tr("further options of tsfal-geo train"))
        form.addRow(tr("Options"), self.further)
        self.column.addLayout(form)
        self.own_classes = QCheckBox(tr("Write the classes down here"))
        self.own_classes.setObjectName("own_classes")
        self.classes = ClassTable()
        self.classes.add()
        self.classes.add()
        self.classes.hide()
        self.own_classes.toggled.connect(self.classes.setVisible)
        creating = button(tr("Create workspace"), "create_workspace")
        creating.clicked.connect(self._create)
        self.add(plain(tr("Classes are those of the label rasters, if there are any.")), self.own_classes)
        self.add(self.classes, creating)
        self.column.addStretch()

    def _create(self) -> None:
        folder, rasters = self.folder.filePath().strip(), self.rasters.filePath().strip()
        if not folder or not rasters:
            self.problem_found.emit(
                tr("Choose the folder of orthophotos and a new folder for the workspace.")
            )
            return
        arguments = ["train", "--raster", rasters, "--workspace", folder]
        try:
            if self.own_classes.isChecked():
                arguments += ["--set", f"classes={json.dumps(self.classes.classes(), ensure_ascii=False)}"]
            arguments += shlex.split(self.further.text())
        except ValueError as error:
            self.problem_found.emit(tr("The classes or options cannot be read: {error}").format(error=error))
            return
        if self.budget.text().strip():
            arguments += ["--budget", self.budget.text().strip()]
        if self.database.text().strip():
            arguments += ["--store", self.database.text().strip()]
        self.create_requested.emit(folder, arguments)


class LayersPage(Page):
    """What lies on the map."""

    zoom_requested = pyqtSignal()
    continue_requested = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.told = plain(name="layers_told")
        zoom = button(tr("Show all scenes"), "zoom_all")
        zoom.clicked.connect(self.zoom_requested)
        going_on = button(tr("Answer queries"), "to_answer")
        going_on.clicked.connect(self.continue_requested)
        self.add(
            self.told,
            plain(tr("Tick the groups in the Layers panel. Hold H to see the orthophoto alone.")),
            zoom,
            going_on,
        )
        self.column.addStretch()


class AnswerPage(Page):
    """The current query, the classes, the tools."""

    class_chosen = pyqtSignal(int)

    def __init__(self) -> None:
        super().__init__()
        self.query = plain(name="query_told")
        self.mode = plain(name="mode_told")
        self.classes = ClassButtons()
        self.classes.chosen.connect(self.class_chosen)
        self.tools = QGridLayout()
        self.add(self.query, self.classes, self.mode)
        self.column.addLayout(self.tools)
        self.column.addStretch()

    def add_tools(self, tools: Sequence[QWidget]) -> None:
        """Buttons of actions, two in a row."""
        for place, widget in enumerate(tools):
            self.tools.addWidget(widget, place // 2, place % 2)

    def show_query(self, query: Query | None, status: str, classes: Sequence[ClassInfo]) -> None:
        """Tell about the current query."""
        if query is None:
            self.query.setText(tr("N goes to the first query."))
            return
        names = {info.id: info.name for info in classes}
        suggested = (
            names.get(query.suggested, tr("nothing")) if query.suggested is not None else tr("nothing")
        )
        self.query.setText(
            tr(
                "Query {rank} ({status}) · {scene} {chip} · {pixels} pixels\n{reason}\nSuggested: {suggested}"
            ).format(
                rank=query.rank,
                status=status,
                scene=query.scene,
                chip=query.chip,
                pixels=query.pixels,
                reason=query.reason,
                suggested=suggested,
            )
        )


class TrainPage(Page):
    """Run the engine and follow it."""

    train_requested = pyqtSignal()
    cancel_requested = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.train = button(tr("Train the next round"), "train")
        self.train.clicked.connect(self.train_requested)
        self.cancel = button(tr("Stop"), "cancel")
        self.cancel.clicked.connect(self.cancel_requested)
        self.bar = QProgressBar()
        self.bar.setObjectName("run_progress")
        self.bar.setRange(0, 1000)
        self.stage = plain(name="run_stage")
        self.log = QPlainTextEdit()
        self.log.setObjectName("run_log")
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(5000)
        self.add(self.train, self.cancel, self.bar, self.stage, self.log)
        self.show_running(False)

    def show_running(self, running: bool) -> None:
        """Whether a run is going on."""
        self.train.setEnabled(not running)
        self.cancel.setEnabled(running)

    def start_over(self) -> None:
        """Forget the last run."""
        self.bar.setValue(0)
        self.log.clear()

    def show_progress(self, fraction: float, stage: str) -> None:
        """How far it is."""
        self.bar.setValue(round(1000 * fraction))
        self.stage.setText(stage)


class ComparePage(Page):
    """What got better."""

    round_chosen = pyqtSignal(int)

    def __init__(self) -> None:
        super().__init__()
        self.table = QTableWidget(0, 4)
        self.table.setObjectName("rounds")
        self.table.setHorizontalHeaderLabels([tr("round"), tr("labelled"), tr("mIoU"), tr("queries")])
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.verticalHeader().hide()
        self.table.horizontalHeader().setStretchLastSection(True)
        self.earlier = button(tr("Show the round before"), "show_earlier")
        self.earlier.setCheckable(True)
        self.earlier.toggled.connect(self._toggle)
        self.curve = Curve()
        self.add(self.table, self.curve, self.earlier)
        self._round = -1

    def show_rounds(self, workspace: Workspace) -> None:
        """The figures of every round."""
        self._round = workspace.round
        self.earlier.blockSignals(True)
        self.earlier.setChecked(False)
        self.earlier.blockSignals(False)
        self.earlier.setEnabled(workspace.round > 0)
        self.table.setRowCount(len(workspace.metrics))
        for row, item in enumerate(workspace.metrics):
            texts = (
                str(item.get("round")),
                percent(item.get("labelled_share")),
                figure(item.get("miou")),
                str(item.get("queries")),
            )
            for column, text in enumerate(texts):
                self.table.setItem(row, column, QTableWidgetItem(text))
        self.table.resizeColumnsToContents()
        self.curve.show_values(known_miou(workspace))

    def _toggle(self, earlier: bool) -> None:
        self.round_chosen.emit(self._round - 1 if earlier else self._round)


class ExportPage(Page):
    """Write the map."""

    export_requested = pyqtSignal(str, bool)

    def __init__(self) -> None:
        super().__init__()
        form = _form()
        self.folder = _folder("export_folder")
        form.addRow(tr("Folder"), self.folder)
        self.confidence = QCheckBox(tr("Write the confidence too"))
        export = button(tr("Export the map"), "export")
        export.clicked.connect(
            lambda: self.export_requested.emit(self.folder.filePath(), self.confidence.isChecked())
        )
        self.column.addLayout(form)
        self.add(plain(tr("Empty: the folder maps/ of the workspace.")), self.confidence, export)
        self.column.addStretch()


def percent(value: Any) -> str:
    """A share as text."""
    return "–" if value is None else f"{100 * float(value):.1f} %"


def figure(value: Any) -> str:
    """A figure between 0 and 1 as text."""
    return "–" if value is None else f"{float(value):.3f}"


def known_miou(workspace: Workspace) -> list[float]:
    """The mIoU of the rounds that have one, oldest first."""
    return [float(item["miou"]) for item in workspace.metrics if item.get("miou") is not None]


def _form() -> QFormLayout:
    form = QFormLayout()
    form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
    return form


def _folder(name: str) -> QgsFileWidget:
    widget = QgsFileWidget()
    widget.setObjectName(name)
    widget.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
    return widget
