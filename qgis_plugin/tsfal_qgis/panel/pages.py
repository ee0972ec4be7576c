"""The pages of the dock, one for each step of the work; widgets and signals only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QGridLayout,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ..answering.query_queue import Query
from ..compat import tr
from ..store.workspace import ClassInfo, Workspace
from .widgets import ClassButtons, Curve, plain


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
        fields = form()
        self.folder = folder_field("export_folder")
        fields.addRow(tr("Folder"), self.folder)
        self.confidence = QCheckBox(tr("Write the confidence too"))
        export = button(tr("Export the map"), "export")
        export.clicked.connect(
            lambda: self.export_requested.emit(self.folder.filePath(), self.confidence.isChecked())
        )
        self.column.addLayout(fields)
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


def form() -> QFormLayout:
    """Labels above their fields where both do not fit beside each other."""
    made = QFormLayout()
    made.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
    return made


def folder_field(name: str) -> QgsFileWidget:
    """A field for a folder."""
    widget = QgsFileWidget()
    widget.setObjectName(name)
    widget.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
    return widget
