"""The panel: the state of the workspace, the next step, and one page for each step."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from qgis.gui import QgsDockWidget
from qgis.PyQt.QtCore import QSize, Qt
from qgis.PyQt.QtWidgets import (
    QFrame,
    QGridLayout,
    QScrollArea,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ..compat import tr
from ..store.queries import DONE, OPEN, SKIPPED, UNSURE
from ..store.workspace import Workspace
from .compare_page import ComparePage, format_percent, format_score, miou_history
from .export_page import ExportPage
from .message_line import MessageLine, Owner
from .pages import AnswerPage, LayersPage, TrainPage
from .start_page import StartPage
from .widgets import LineLabel, progress_bar

_WIDTH = 375  # pixels: three step buttons in a row


class Step(IntEnum):
    """A step of the work, and the number of its page."""

    START = 0
    LAYERS = 1
    ANSWER = 2
    TRAIN = 3
    COMPARE = 4
    EXPORT = 5


class _Pages(QStackedWidget):
    """The pages; one scrolls for its own height, not for that of the highest."""

    def sizeHint(self) -> QSize:
        """Return the size of the page that is shown."""
        page = self.currentWidget()
        return super().sizeHint() if page is None else page.sizeHint()

    def minimumSizeHint(self) -> QSize:
        """Return the least size of the page that is shown."""
        page = self.currentWidget()
        return super().minimumSizeHint() if page is None else page.minimumSizeHint()

    def heightForWidth(self, width: int) -> int:
        """Return the height of the page that is shown.

        Args:
            width: in pixels.
        """
        page = self.currentWidget()
        return -1 if page is None else int(page.heightForWidth(width))


class TsfalDock(QgsDockWidget):
    """The panel: widgets and signals only, which `TsfalPlugin` acts on.

    Args:
        author: name of the annotator that the first page shows.
        parent: the main window.
    """

    def __init__(self, author: str, parent: QWidget | None = None) -> None:
        super().__init__("TSFAL", parent)
        self.setObjectName("TsfalDock")
        self.title = LineLabel("title")
        self.budget = progress_bar("budget")
        self.counts = LineLabel("counts")
        self.history = LineLabel("history")
        self.next_step = LineLabel("next_step")
        self.next_step.setStyleSheet("font-weight: bold;")
        self.messages = MessageLine()
        self.message = self.messages.label
        self.start = StartPage(author)
        self.layers = LayersPage()
        self.answer = AnswerPage()
        self.train = TrainPage()
        self.compare = ComparePage()
        self.export = ExportPage()
        self._stack = _Pages()
        self._steps: list[QToolButton] = []
        column = QVBoxLayout()
        for widget in (self.title, self.budget, self.counts, self.history, self.next_step):
            column.addWidget(widget)
        for widget in (self.budget, self.counts, self.history):
            policy = widget.sizePolicy()
            policy.setRetainSizeWhenHidden(True)
            widget.setSizePolicy(policy)
        column.addLayout(self._step_buttons())
        # Only the page scrolls: nothing else moves under the pointer.
        scroll = QScrollArea()
        scroll.setObjectName("page")
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(self._stack)
        column.addWidget(scroll, 1)
        column.addWidget(self.messages)
        body = QWidget()
        body.setLayout(column)
        body.setMinimumWidth(_WIDTH)
        self.setWidget(body)
        self.layers.continue_requested.connect(lambda: self.go_to(Step.ANSWER))
        self.start.problem_found.connect(lambda text: self.show_problem(text, Owner.FORM))
        self.close_workspace()

    @property
    def step(self) -> int:
        """The number of the page that is shown."""
        return self._stack.currentIndex()

    def go_to(self, step: int) -> None:
        """Show a page.

        Args:
            step: its number.
        """
        self._stack.setCurrentIndex(step)
        self._stack.updateGeometry()
        for number, tool in enumerate(self._steps):
            tool.setChecked(number == step)

    def close_workspace(self) -> None:
        """Show that no workspace is open."""
        self.title.setText(tr("No workspace is open."))
        for widget in (self.budget, self.counts, self.history):
            widget.hide()
        self.next_step.setText(tr("Next: open or create a workspace."))
        for number, tool in enumerate(self._steps):
            tool.setEnabled(number in (Step.START, Step.TRAIN))
        self.messages.end(Owner.WORKSPACE, Owner.ANSWER)
        self.go_to(Step.START)

    def show_creation(self, name: str, running: bool) -> None:
        """Show that a workspace is being created, or that its creation has stopped.

        Args:
            name: name of its folder.
            running: True while the engine creates it.
        """
        text = tr("Creating {name} …") if running else tr("{name} is not complete yet.")
        self.title.setText(text.format(name=name))
        self.next_step.setText(
            tr("Next: wait for its first round.") if running else tr("Next: train to go on with it.")
        )
        self.messages.end(Owner.FORM)
        self.go_to(Step.TRAIN)

    def show_workspace(self, workspace: Workspace) -> None:
        """Show the state of a workspace; called again after each round.

        Args:
            workspace: the workspace.
        """
        number = workspace.round
        state = tr("round {number}").format(number=number) if number >= 0 else tr("no round is complete yet")
        self.title.setText(f"{workspace.root.name} · {state} · {workspace.status}")
        miou = miou_history(workspace)
        self.history.setText(
            "mIoU " + " → ".join(map(format_score, miou)) if miou else tr("mIoU: no validation scenes")
        )
        for widget in (self.budget, self.counts, self.history):
            widget.show()
        for tool in self._steps:
            tool.setEnabled(True)
        self.answer.classes.show_classes(workspace.classes)
        self.compare.show_rounds(workspace)
        self.layers.show_workspace(workspace)

    def show_progress(self, workspace: Workspace, counts: Mapping[str, int], answered_pixels: int) -> None:
        """Show the queries, the budget and the next step.

        Args:
            workspace: the workspace.
            counts: status → number of queries.
            answered_pixels: pixels of the queries answered in this round; the panel adds them to the labelled
                share until the engine counts again.
        """
        last = workspace.metrics[-1] if workspace.metrics else {}
        goal = float(last.get("budget") or 0)
        valid = max(int(last.get("valid_pixels") or 1), 1)
        spent = float(last.get("labelled_share") or 0) + answered_pixels / valid
        self.budget.setValue(round(1000 * min(spent / goal, 1)) if goal else 0)
        text = tr("budget: {spent} spent, {left} left")
        self.budget.setFormat(
            text.format(spent=format_percent(spent), left=format_percent(max(goal - spent, 0)))
        )
        self.counts.setText(
            tr("Queries: {open} open · {done} done · {skipped} skipped · {unsure} unsure").format(
                open=counts[OPEN], done=counts[DONE], skipped=counts[SKIPPED], unsure=counts[UNSURE]
            )
        )
        self.next_step.setText(self._next_step(workspace, counts))

    def show_message(self, text: str, owner: Owner = Owner.ANSWER) -> None:
        """Show a note below the page.

        Args:
            text: the note; empty to remove the owner's last one.
            owner: what it is about; it ends with that.
        """
        self.messages.say(owner, text)

    def show_problem(self, text: str, owner: Owner = Owner.ANSWER) -> None:
        """Show a problem below the page.

        Args:
            text: the problem and its remedy.
            owner: what it is about; it ends with that.
        """
        self.messages.say(owner, text, problem=True)

    def _next_step(self, workspace: Workspace, counts: Mapping[str, int]) -> str:
        if workspace.round < 0 or workspace.status == "training":
            return tr("Next: continue the training.")
        if counts[OPEN]:
            return tr("Next: answer the open queries (N), or train.")
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
