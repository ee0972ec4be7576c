"""The part of the page *Answer* that shows the live session."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QHBoxLayout, QVBoxLayout, QWidget

from ..compat import tr
from ..panel.curve import Curve
from ..panel.widgets import text_label

_LINES = 3


class LivePanel(QWidget):
    """A switch for the session, one for its map, a line on the accuracy, and its curve over the answers."""

    switched = pyqtSignal(bool)
    map_shown = pyqtSignal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.on = QCheckBox(tr("Live: follow each answer"))
        self.on.setObjectName("live_on")
        self.map = QCheckBox(tr("Live map (M)"))
        self.map.setObjectName("live_map")
        self.text = text_label(name="live_text")
        self.curve = Curve(tr("accuracy"))
        # Nothing below moves when the line grows.
        self.text.setMinimumHeight(_LINES * self.text.fontMetrics().lineSpacing())
        row = QHBoxLayout()
        row.addWidget(self.on)
        row.addWidget(self.map)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row)
        column.addWidget(self.text)
        column.addWidget(self.curve)
        self.on.clicked.connect(self.switched)
        self.map.clicked.connect(self.map_shown)

    def begin(self, on: bool) -> None:
        """Show a new session, with nothing known yet.

        Args:
            on: whether the user wants it.
        """
        self.on.setChecked(on)
        self.map.setChecked(False)
        self.text.setText("")
        self.curve.show_values([], [], "")

    def show_estimates(self, answers: Sequence[float], accuracy: Sequence[float]) -> None:
        """Draw the estimated accuracy over the answers.

        Args:
            answers: ascending.
            accuracy: from 0 to 1.
        """
        self.curve.show_values(answers, accuracy, tr("answers"))
