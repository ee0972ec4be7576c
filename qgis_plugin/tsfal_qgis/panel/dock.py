"""The dock: where the work stands, what to do next, and one page for each step."""

from __future__ import annotations

from collections.abc import Mapping

from qgis.gui import QgsDockWidget
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import (
    QGridLayout,
    QProgressBar,
    QScrollArea,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ..answering.query_queue import DONE, OPEN, SKIPPED, UNSURE
from ..compat import tr
from ..store.workspace import Workspace
from .pages import (
    AnswerPage,
    ComparePage,
    ExportPage,
    LayersPage,
    TrainPage,
    figure,
    known_miou,
    percent,
)
from .start_page import StartPage
from .widgets import plain

_WIDTH = 375  # pixels: three step buttons beside each other
START, LAYERS, ANSWER, TRAIN, COMPARE, EXPORT = range(6)


class TsfalDock(QgsDockWidget):
    """Leads through the work. Widgets and signals only; `TsfalPlugin` does what they ask for."""

    def __init__(self, author: str, parent: QWidget | None = None) -> None:
        super().__init__("TSFAL", parent)
        self.setObjectName("TsfalDock")
        self.title = plain(tr("No workspace is open."), "title")
        self.budget = QProgressBar()
        self.budget.setObjectName("budget")
        self.budget.setRange(0, 1000)
        self.counts = plain(name="counts")
        self.history = plain(name="history")
        self.next_step = plain(name="next_step")
        self.next_step.setStyleSheet("font-weight: bold;")
        self.message = plain(name="message")
        self.start = StartPage(author)
        self.layers = LayersPage()
        self.answer = AnswerPage()
        self.train = TrainPage()
        self.compare = ComparePage()
        self.export = ExportPage()
        self._stack = QStackedWidget()
        self._steps: list[QToolButton] = []
        column = QVBoxLayout()
        for widget in (self.title, self.budget, self.counts, self.history, self.next_step):
            column.addWidget(widget)
        column.addLayout(self._step_buttons())
        column.addWidget(self._stack, 1)
        column.addWidget(self.message)
        body = QWidget()
        body.setLayout(column)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(body)
        scroll.setMinimumWidth(_WIDTH)
        self.setWidget(scroll)
        self.layers.continue_requested.connect(lambda: self.go_to(ANSWER))
        self.start.problem_found.connect(self.warn)
        self.close_workspace()

    @property
    def step(self) -> int:
        """The page that is shown."""
        return self._stack.currentIndex()

    def go_to(self, step: int) -> None:
        """Show a page."""
        self._stack.setCurrentIndex(step)
        for number, tool in enumerate(self._steps):
            tool.setChecked(number == step)

    def close_workspace(self) -> None:
        """Show that no workspace is open."""
        self.title.setText(tr("No workspace is open."))
        for widget in (self.budget, self.counts, self.history):
            widget.hide()
        self.next_step.setText(tr("Next: open or create a workspace."))
        for number, tool in enumerate(self._steps):
            tool.setEnabled(number in (START, TRAIN))
        self.go_to(START)

    def show_workspace(self, workspace: Workspace) -> None:
        """Show where a workspace stands; called again after each round."""
        state = tr("no round is complete yet") if workspace.round < 0 else f"round {workspace.round}"
        self.title.setText(f"{workspace.root.name} · {state} · {workspace.status}")
        miou = known_miou(workspace)
        self.history.setText(
            "mIoU " + " → ".join(map(figure, miou)) if miou else tr("mIoU: no validation scenes")
        )
        for widget in (self.budget, self.counts, self.history):
            widget.show()
        for tool in self._steps:
            tool.setEnabled(True)
        self.answer.classes.show_classes(workspace.classes)
        self.compare.show_rounds(workspace)
        self.layers.told.setText(
            tr("{scenes} scenes, {classes} classes.").format(
                scenes=len(workspace.scenes), classes=len(workspace.classes)
            )
        )

    def show_progress(self, workspace: Workspace, counts: Mapping[str, int], answered_pixels: int) -> None:
        """Show queries and budget; the pixels of answered queries count until the engine counts anew."""
        last = workspace.metrics[-1] if workspace.metrics else {}
        goal = float(last.get("budget") or 0)
        valid = max(int(last.get("valid_pixels") or 1), 1)
        spent = float(last.get("labelled_share") or 0) + answered_pixels / valid
        self.budget.setValue(round(1000 * min(spent / goal, 1)) if goal else 0)
        told = tr("budget: {spent} spent, {left} left")
        self.budget.setFormat(told.format(spent=percent(spent), left=percent(max(goal - spent, 0))))
        self.counts.setText(
            tr("Queries: {open} open · {done} done · {skipped} skipped · {unsure} unsure").format(
                open=counts[OPEN], done=counts[DONE], skipped=counts[SKIPPED], unsure=counts[UNSURE]
            )
        )
        self.next_step.setText(self._next_step(workspace, counts))

    def say(self, text: str) -> None:
        """Tell something in passing."""
        self.message.setStyleSheet("")
        self.message.setText(text)

    def warn(self, text: str) -> None:
        """Tell what went wrong."""
        self.message.setStyleSheet("color: #b00020; font-weight: bold;")
        self.message.setText(text)

    def _next_step(self, workspace: Workspace, counts: Mapping[str, int]) -> str:
        if workspace.round < 0 or workspace.status == "training":
            return tr("Next: go on with training.")
        if counts[OPEN]:
            return tr("Next: answer the open queries (N), or train with what is there.")
        if workspace.status == "waiting":
            return tr("Next: train the next round.")
        return tr("Next: export the map.")

    def _step_buttons(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setSpacing(1)
        pages = (
            (tr("Workspace"), self.start),
            (tr("Layers"), self.layers),
            (tr("Answer"), self.answer),
            (tr("Train"), self.train),
            (tr("Compare"), self.compare),
            (tr("Export"), self.export),
        )
        for number, (text, page) in enumerate(pages):
            tool = QToolButton()
            tool.setObjectName(f"step_{number}")
            tool.setText(f"{number + 1} {text}")
            tool.setCheckable(True)
            tool.setAutoRaise(True)
            tool.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            tool.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            tool.clicked.connect(lambda _checked, number=number: self.go_to(number))
            grid.addWidget(tool, number // 3, number % 3)
            self._steps.append(tool)
            self._stack.addWidget(page)
        return grid
