"""The figure of the accuracy over a person's work."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.PyQt.QtCore import QPointF, QSize
from qgis.PyQt.QtGui import QColor, QPainter, QPaintEvent, QPen
from qgis.PyQt.QtWidgets import QSizePolicy, QWidget


class Curve(QWidget):
    """A figure as a line, with the first and last value of each axis.

    Args:
        title: name of the figure.
    """

    def __init__(self, title: str = "mIoU") -> None:
        super().__init__()
        self._title = title
        self._along: list[float] = []
        self._values: list[float] = []
        self._unit = ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.hide()

    def sizeHint(self) -> QSize:
        """Return the size of a small figure."""
        return QSize(200, 110)

    def show_values(self, along: Sequence[float], values: Sequence[float], unit: str) -> None:
        """Draw values; fewer than two are no line, and hide the widget.

        Args:
            along: what they are drawn over, ascending.
            values: from 0 to 1.
            unit: name of the former.
        """
        self._along, self._values, self._unit = list(along), list(values), unit
        self.setVisible(len(self._values) > 1)
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the axes and the line, with a dot for each round."""
        if len(self._values) < 2:
            return
        line = self.fontMetrics().lineSpacing()
        left, right = self.fontMetrics().horizontalAdvance("0.000 "), self.width() - 10
        top, bottom = line, self.height() - line - 4
        low, high = min(self._values), max(self._values)
        first, length = self._along[0], max(self._along[-1] - self._along[0], 1e-9)
        points = [
            QPointF(
                left + 6 + (x - first) / length * (right - left - 12),
                bottom - 6 - (y - low) / max(high - low, 0.01) * (bottom - top - 12),
            )
            for x, y in zip(self._along, self._values)
        ]
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(self.palette().color(self.foregroundRole()))
        painter.drawLine(left, top, left, bottom)
        painter.drawLine(left, bottom, right, bottom)
        painter.drawText(0, line - 4, self._title)
        painter.drawText(0, round(points[self._values.index(low)].y()) + 4, f"{low:.3f}")
        if points[self._values.index(low)].y() - points[self._values.index(high)].y() > line:
            painter.drawText(0, round(points[self._values.index(high)].y()) + 4, f"{high:.3f}")
        painter.drawText(left, self.height() - 4, f"{first:g}")
        last = f"{self._along[-1]:g} {self._unit}"
        painter.drawText(right - self.fontMetrics().horizontalAdvance(last), self.height() - 4, last)
        painter.setPen(QPen(QColor(0, 130, 160), 2))
        for start, end in zip(points, points[1:]):
            painter.drawLine(start, end)
        painter.setBrush(QColor(0, 130, 160))
        for point in points:
            painter.drawEllipse(point, 3, 3)
        painter.end()
