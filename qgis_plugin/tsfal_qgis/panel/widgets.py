"""Small widgets of the dock. Names from files are shown as plain text everywhere."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.PyQt.QtCore import QPointF, QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QIcon, QPainter, QPaintEvent, QPen, QPixmap
from qgis.PyQt.QtWidgets import (
    QColorDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ..compat import tr
from ..store.workspace import ClassInfo

_COLOURS = ((230, 25, 75), (60, 180, 75), (255, 225, 25), (0, 130, 200), (245, 130, 48), (145, 30, 180))


def plain(text: str = "", name: str = "") -> QLabel:
    """A label that shows its text as it is, whatever is in it."""
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setObjectName(name)
    return label


def swatch(colour: Sequence[int]) -> QIcon:
    """An icon of one colour."""
    picture = QPixmap(16, 16)
    picture.fill(QColor(*colour))
    painter = QPainter(picture)
    painter.setPen(QColor(90, 90, 90))
    painter.drawRect(0, 0, 15, 15)
    painter.end()
    return QIcon(picture)


class ClassButtons(QWidget):
    """The classes with their colours and keys."""

    chosen = pyqtSignal(int)

    def __init__(self) -> None:
        super().__init__()
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(1)
        self._buttons: dict[int, QPushButton] = {}

    def show_classes(self, classes: Sequence[ClassInfo]) -> None:
        """One button a class, with the keys 1 to 9."""
        for button in self._buttons.values():
            button.setParent(None)
            button.deleteLater()
        self._buttons = {}
        for place, info in enumerate(classes, 1):
            key = f"{place}  " if place <= 9 else ""
            button = QPushButton(swatch(info.colour), f"{key}{info.name}".replace("&", "&&"))
            button.setObjectName(f"class_{info.id}")
            button.setCheckable(True)
            button.setStyleSheet("text-align: left; padding: 3px;")
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            button.clicked.connect(lambda _checked, class_id=info.id: self.chosen.emit(class_id))
            self._column.addWidget(button)
            self._buttons[info.id] = button

    def mark(self, class_id: int | None) -> None:
        """Show which class is the current one."""
        for each, button in self._buttons.items():
            button.setChecked(each == class_id)


class Curve(QWidget):
    """The mIoU of each round, as a line."""

    def __init__(self) -> None:
        super().__init__()
        self._values: list[float] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.hide()

    def sizeHint(self) -> QSize:
        """As high as two lines of text."""
        return QSize(120, 46)

    def show_values(self, values: Sequence[float]) -> None:
        """Draw values between 0 and 1; fewer than two are no line."""
        self._values = list(values)
        self.setVisible(len(self._values) > 1)
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the line, with a dot for each round."""
        if len(self._values) < 2:
            return
        low, high = min(self._values), max(self._values)
        span = max(high - low, 0.01)
        step = (self.width() - 12) / (len(self._values) - 1)
        points = [
            QPointF(6 + step * number, self.height() - 8 - (value - low) / span * (self.height() - 16))
            for number, value in enumerate(self._values)
        ]
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(0, 130, 160), 2))
        for start, end in zip(points, points[1:]):
            painter.drawLine(start, end)
        painter.setBrush(QColor(0, 130, 160))
        for point in points:
            painter.drawEllipse(point, 3, 3)
        painter.end()


class ClassTable(QWidget):
    """A class map to be written down: id, name, colour."""

    def __init__(self) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        self._table = QTableWidget(0, 3)
        self._table.setObjectName("class_table")
        self._table.setHorizontalHeaderLabels([tr("id"), tr("name"), tr("colour")])
        self._table.horizontalHeader().setStretchLastSection(True)
        self._table.verticalHeader().hide()
        self._table.setColumnWidth(0, 40)
        self._table.cellDoubleClicked.connect(self._choose_colour)
        column.addWidget(self._table)
        row = QHBoxLayout()
        for text, name, act in (
            (tr("Add class"), "class_add", self.add),
            (tr("Remove class"), "class_drop", self._drop),
        ):
            button = QPushButton(text)
            button.setObjectName(name)
            button.clicked.connect(lambda _checked, act=act: act())
            row.addWidget(button)
        column.addLayout(row)

    def add(self, name: str = "", colour: Sequence[int] | None = None) -> None:
        """Add a class with the next id."""
        number = self._table.rowCount()
        colour = colour or _COLOURS[number % len(_COLOURS)]
        self._table.insertRow(number)
        self._table.setItem(number, 0, QTableWidgetItem(str(number)))
        self._table.setItem(number, 1, QTableWidgetItem(name or tr("class {number}").format(number=number)))
        cell = QTableWidgetItem("")
        cell.setFlags(Qt.ItemFlag.ItemIsEnabled)
        cell.setBackground(QColor(*colour))
        self._table.setItem(number, 2, cell)

    def classes(self) -> list[dict[str, object]]:
        """The classes as ``--set classes=…`` takes them.

        Raises:
            ValueError: an id is not a number.
        """
        found = []
        for row in range(self._table.rowCount()):
            colour = self._table.item(row, 2).background().color()
            found.append(
                {
                    "id": int(self._table.item(row, 0).text()),
                    "name": self._table.item(row, 1).text(),
                    "colour": [colour.red(), colour.green(), colour.blue()],
                }
            )
        return found

    def _drop(self) -> None:
        self._table.removeRow(
            self._table.currentRow() if self._table.currentRow() >= 0 else self._table.rowCount() - 1
        )

    def _choose_colour(self, row: int, column: int) -> None:
        if column == 2:
            colour = QColorDialog.getColor(self._table.item(row, 2).background().color(), self)
            if colour.isValid():
                self._table.item(row, 2).setBackground(colour)
