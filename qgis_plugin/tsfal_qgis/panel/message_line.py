"""The line for messages below the panel's pages: each message has an owner, which ends it."""

from __future__ import annotations

from enum import Enum
from html import escape

from qgis.PyQt.QtWidgets import QFrame, QScrollArea, QWidget

from .widgets import text_label

_LINES = 3
# The colours bring their own ground: they are readable in each theme (a test computes the contrast).
_NOTE = "color: #10242e; background-color: #e6f0f4; padding: 2px;"
_PROBLEM = "color: #7a0010; background-color: #fde7ea; font-weight: bold; padding: 2px;"


class Owner(Enum):
    """The cause of a message, which ends with it."""

    FORM = "form"  # the first page, until it is used again
    WORKSPACE = "workspace"  # the open workspace, until it is closed
    RUN = "run"  # a run of the engine, until the next one
    ANSWER = "answer"  # the last answer, until the next one


class MessageLine(QScrollArea):
    """Shows the newest message of those that have not ended, at a fixed height; long ones can be scrolled.

    Args:
        parent: its parent in Qt.

    Attributes:
        label: the label with the text.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.label = text_label(name="message")
        self._messages: dict[Owner, tuple[str, bool]] = {}
        self.setWidget(self.label)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFixedHeight(_LINES * self.fontMetrics().lineSpacing() + 8)

    def say(self, owner: Owner, text: str, problem: bool = False) -> None:
        """Show a message instead of the owner's last one.

        Args:
            owner: what it is about.
            text: the message; empty to end the last one.
            problem: True for a problem, which stands out.
        """
        self._messages.pop(owner, None)
        if text:
            self._messages[owner] = (text, problem)
        self._show()

    def end(self, *owners: Owner) -> None:
        """Remove messages whose cause has ended; an older one that still holds is shown again.

        Args:
            owners: what they are about.
        """
        for owner in owners:
            self._messages.pop(owner, None)
        self._show()

    def _show(self) -> None:
        text, problem = next(reversed(self._messages.values()), ("", False))
        self.label.setStyleSheet((_PROBLEM if problem else _NOTE) if text else "")
        self.label.setText(text)
        # A tooltip is read as HTML if it looks like it; names in the text must stay text.
        self.label.setToolTip(f"<qt>{escape(text)}</qt>" if text else "")
