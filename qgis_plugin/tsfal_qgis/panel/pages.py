"""The pages of the panel after the first, one for each step of the work; widgets and signals only."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import (
    QGridLayout,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from ..compat import tr
from ..store.queries import Query
from ..store.workspace import ClassInfo, Workspace
from .widgets import ClassButtons, progress_bar, push_button, text_label


class Page(QWidget):
    """A page with a column of widgets."""

    def __init__(self) -> None:
        super().__init__()
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(2, 4, 2, 2)

    def add(self, *widgets: QWidget) -> None:
        """Append widgets to the column.

        Args:
            widgets: the widgets, from the top.
        """
        for widget in widgets:
            self.column.addWidget(widget)


class LayersPage(Page):
    """The step in which the user looks at the layers."""

    zoom_requested = pyqtSignal()
    continue_requested = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self._summary = text_label(name="layers_summary")
        zoom = push_button(tr("Show all scenes"), "zoom_all")
        zoom.clicked.connect(self.zoom_requested)
        to_answer = push_button(tr("Answer queries"), "to_answer")
        to_answer.clicked.connect(self.continue_requested)
        self.add(
            self._summary,
            text_label(tr("Tick the groups in the Layers panel. Hold H to hide all but the orthophoto.")),
            zoom,
            to_answer,
        )
        self.column.addStretch()

    def show_workspace(self, workspace: Workspace) -> None:
        """Show the number of scenes and classes of a workspace.

        Args:
            workspace: the workspace.
        """
        text = tr("{scenes} scenes, {classes} classes.")
        self._summary.setText(text.format(scenes=len(workspace.scenes), classes=len(workspace.classes)))


class AnswerPage(Page):
    """The current query, the classes, the tools."""

    class_chosen = pyqtSignal(int)

    def __init__(self) -> None:
        super().__init__()
        self.query_text = text_label(name="query_text")
        self.mode_text = text_label(name="mode_text")
        self.classes = ClassButtons()
        self.classes.chosen.connect(self.class_chosen)
        self.tools = QGridLayout()
        self.add(self.query_text, self.classes, self.mode_text)
        self.column.addLayout(self.tools)
        self.column.addStretch()

    def add_tools(self, tools: Sequence[QWidget]) -> None:
        """Add the buttons of actions, two in a row.

        Args:
            tools: the buttons.
        """
        for number, widget in enumerate(tools):
            self.tools.addWidget(widget, number // 2, number % 2)

    def add_below(self, widget: QWidget) -> None:
        """Add a widget below the buttons.

        Args:
            widget: the widget.
        """
        self.column.insertWidget(self.column.count() - 1, widget)

    def show_query(self, query: Query | None, status: str, classes: Sequence[ClassInfo]) -> None:
        """Describe the current query.

        Args:
            query: the query; None if there is none.
            status: its status.
            classes: the class map, for the name of the suggested class.
        """
        if query is None:
            self.query_text.setText(tr("N goes to the first query."))
            return
        names = {info.id: info.name for info in classes}
        suggested = names.get(query.suggested) if query.suggested is not None else None
        text = tr(
            "Query {rank} ({status}) · {scene} {chip} · {pixels} pixels\n{reason}\n"
            "Suggested class: {suggested}"
        )
        self.query_text.setText(
            text.format(
                rank=query.rank,
                status=status,
                scene=query.scene,
                chip=query.chip,
                pixels=query.pixels,
                reason=query.reason,
                suggested=tr("none") if suggested is None else suggested,
            )
        )


class TrainPage(Page):
    """A run of the engine: start, progress, log."""

    train_requested = pyqtSignal()
    cancel_requested = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.train = push_button(tr("Train the next round"), "train")
        self.train.clicked.connect(self.train_requested)
        self.cancel = push_button(tr("Stop"), "cancel")
        self.cancel.clicked.connect(self.cancel_requested)
        self.bar = progress_bar("run_progress")
        self.stage = text_label(name="run_stage")
        self.time_left = text_label(name="time_left")
        self.log = QPlainTextEdit()
        self.log.setObjectName("run_log")
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(5000)
        self.add(self.train, self.cancel, self.bar, self.stage, self.time_left, self.log)
        self.show_running(False)

    def show_running(self, running: bool) -> None:
        """Enable the button that applies.

        Args:
            running: True while a run is in progress.
        """
        self.train.setEnabled(not running)
        self.cancel.setEnabled(running)

    def clear(self) -> None:
        """Remove the progress and the log of the last run."""
        self.bar.setValue(0)
        self.log.clear()

    def show_progress(self, fraction: float, stage: str) -> None:
        """Show the progress of a run.

        Args:
            fraction: from 0 to 1.
            stage: the stage in words.
        """
        self.bar.setValue(round(1000 * fraction))
        self.stage.setText(stage)

    def show_time_left(self, seconds: float | None) -> None:
        """Show how long the training still takes.

        Args:
            seconds: as the engine estimates them; None where they are not known.
        """
        if seconds is None:
            self.time_left.setText("")
            return
        minutes = max(round(seconds / 60), 1)
        if minutes < 60:
            self.time_left.setText(tr("about {minutes} min left").format(minutes=minutes))
            return
        text = tr("about {hours} h {minutes} min left")
        self.time_left.setText(text.format(hours=minutes // 60, minutes=minutes % 60))
