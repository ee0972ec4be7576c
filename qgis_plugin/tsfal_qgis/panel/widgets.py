"""Small widgets of the panel. Names from files are shown as plain text everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QIcon, QPainter, QPaintEvent, QPixmap
from qgis.PyQt.QtWidgets import (
    QColorDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
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


def text_label(text: str = "", name: str = "") -> QLabel:
    """Make a label that shows its text literally, also if it looks like HTML.

    Args:
        text: the text.
        name: object name.

    Returns:
        The label, which wraps its lines.
    """
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setObjectName(name)
    return label


class LineLabel(QLabel):
    """A label of one line, whatever its text is; what does not fit is in its tooltip.

    Args:
        name: object name.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setObjectName(name)
        self.setFixedHeight(self.fontMetrics().lineSpacing() + 2)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def setText(self, text: str) -> None:
        """Show a text.

        Args:
            text: the text.
        """
        super().setText(text)
        self.setToolTip(f"<qt>{escape(text)}</qt>" if text else "")

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the text, with an ellipsis where it does not fit."""
        text = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, self.width())
        painter = QPainter(self)
        self.style().drawItemText(
            painter,
            self.rect(),
            int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter),
            self.palette(),
            self.isEnabled(),
            text,
            self.foregroundRole(),
        )
        painter.end()


def progress_bar(name: str) -> QProgressBar:
    """Make a bar of a thousand steps whose text is readable in each theme, on both its parts.

    Args:
        name: object name.

    Returns:
        The bar.
    """
    bar = QProgressBar()
    bar.setObjectName(name)
    bar.setRange(0, 1000)
    bar.setStyleSheet(
        "QProgressBar { color: #10242e; background-color: #e6f0f4; border: 1px solid #7b99a5; }"
        "QProgressBar { text-align: center; }"
        "QProgressBar::chunk { background-color: #9cc9dc; }"
    )
    return bar


def push_button(text: str, name: str) -> QPushButton:
    """Make a button that leaves the keyboard to the canvas.

    Args:
        text: the text.
        name: object name.

    Returns:
        The button.
    """
    button = QPushButton(text)
    button.setObjectName(name)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button


def form() -> QFormLayout:
    """Make a form that puts labels above their fields where the panel is too narrow for both."""
    layout = QFormLayout()
    layout.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
    return layout


def folder_field(name: str) -> QgsFileWidget:
    """Make a field for a folder.

    Args:
        name: object name.

    Returns:
        The field.
    """
    widget = QgsFileWidget()
    widget.setObjectName(name)
    widget.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
    return widget


class ClassButtons(QWidget):
    """The classes as buttons, with their colours and keys."""

    chosen = pyqtSignal(int)

    def __init__(self) -> None:
        super().__init__()
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(1)
        self._buttons: dict[int, QPushButton] = {}

    def show_classes(self, classes: Sequence[ClassInfo]) -> None:
        """Replace the buttons.

        Args:
            classes: the class map; the first nine have the keys 1 to 9.
        """
        for button in self._buttons.values():
            button.setParent(None)
            button.deleteLater()
        self._buttons = {}
        for number, info in enumerate(classes, 1):
            key = f"{number}  " if number <= 9 else ""
            button = QPushButton(_colour_icon(info.colour), f"{key}{info.name}".replace("&", "&&"))
            button.setObjectName(f"class_{info.id}")
            button.setCheckable(True)
            button.setStyleSheet("text-align: left; padding: 3px;")
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            button.clicked.connect(lambda _checked, class_id=info.id: self.chosen.emit(class_id))
            self._column.addWidget(button)
            self._buttons[info.id] = button

    def mark(self, class_id: int | None) -> None:
        """Mark the current class.

        Args:
            class_id: its id; None if there is none.
        """
        for each, button in self._buttons.items():
            button.setChecked(each == class_id)


class ClassTable(QWidget):
    """A table in which the user enters a class map: id, name, colour."""

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
        """Add a class with the next id.

        Args:
            name: its name; "class" and the id if empty.
            colour: red, green and blue, 0 to 255 each; None for the next of six.
        """
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
        """Return the classes in the form of ``--set classes=…``.

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
        current = self._table.currentRow()
        self._table.removeRow(current if current >= 0 else self._table.rowCount() - 1)

    def _choose_colour(self, row: int, column: int) -> None:
        if column == 2:
            colour = QColorDialog.getColor(self._table.item(row, 2).background().color(), self)
            if colour.isValid():
                self._table.item(row, 2).setBackground(colour)


def _colour_icon(colour: Sequence[int]) -> QIcon:
    picture = QPixmap(16, 16)
    picture.fill(QColor(*colour))
    painter = QPainter(picture)
    painter.setPen(QColor(90, 90, 90))
    painter.drawRect(0, 0, 15, 15)
    painter.end()
    return QIcon(picture)
