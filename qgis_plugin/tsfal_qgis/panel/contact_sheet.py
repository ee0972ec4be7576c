"""A contact sheet: thumbnails of queries that are all accepted with one key, but for those taken out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qgis.PyQt.QtCore import QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QIcon, QImage, QKeyEvent, QPixmap
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QDialog,
    QHBoxLayout,
    QListView,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ..compat import tr
from .widgets import push_button, text_label

_QID = Qt.ItemDataRole.UserRole


class ContactSheet(QDialog):
    """Thumbnails of queries of one suggested class.

    Args:
        parent: QGIS's main window.
        side: of a thumbnail in pixels.
    """

    class_chosen = pyqtSignal(int)
    approved = pyqtSignal(list, list)  # qids that are accepted, and those that were taken out
    passed = pyqtSignal()

    def __init__(self, parent: QWidget | None, side: int) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Accept suggestions together"))
        self.setModal(True)
        self.classes = QComboBox()
        self.classes.setObjectName("sheet_classes")
        self.classes.activated.connect(lambda index: self.class_chosen.emit(self.classes.itemData(index)))
        self.hint = text_label(
            tr("A click or the space bar takes a query out. One undo takes back the sheet.")
        )
        self.thumbnails = _ThumbnailList(side)
        self.thumbnails.toggled.connect(self._count)
        self.accept_all = push_button("", "sheet_accept")
        self.accept_all.setDefault(True)
        self.accept_all.clicked.connect(self._approve)
        self.pass_on = push_button(tr("Leave these, show others"), "sheet_pass")
        self.pass_on.setAutoDefault(False)
        self.pass_on.clicked.connect(self.passed)
        buttons = QHBoxLayout()
        buttons.addWidget(self.pass_on)
        buttons.addWidget(self.accept_all)
        column = QVBoxLayout(self)
        column.addWidget(self.classes)
        column.addWidget(self.hint)
        column.addWidget(self.thumbnails)
        column.addLayout(buttons)
        self.resize(6 * (side + 24), 4 * (side + 36))

    def show_classes(self, names: Mapping[int, str], chosen: int) -> None:
        """Fill the list of classes.

        Args:
            names: id → text of each class of which queries are open.
            chosen: id of the class whose queries are shown.
        """
        self.classes.clear()
        for class_id, name in names.items():
            self.classes.addItem(name, class_id)
        self.classes.setCurrentIndex(self.classes.findData(chosen))

    def show_queries(self, pictures: Sequence[tuple[str, QImage]]) -> None:
        """Show queries, none of which is taken out.

        Args:
            pictures: qid and thumbnail of each.
        """
        self.thumbnails.fill(pictures)
        self._count()
        self.thumbnails.setFocus()

    def _approve(self) -> None:
        self.approved.emit(self.thumbnails.qids(kept=True), self.thumbnails.qids(kept=False))

    def _count(self) -> None:
        kept = len(self.thumbnails.qids(kept=True))
        self.accept_all.setText(tr("Accept {count}  Return").format(count=kept))
        self.accept_all.setEnabled(kept > 0)


class _ThumbnailList(QListWidget):
    """Thumbnails with check marks, which a click or the space bar toggles."""

    toggled = pyqtSignal()

    def __init__(self, side: int) -> None:
        super().__init__()
        self.setObjectName("sheet_thumbnails")
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setIconSize(QSize(side, side))
        self.setMovement(QListView.Movement.Static)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setSpacing(4)
        self.itemClicked.connect(self._toggle)

    def fill(self, pictures: Sequence[tuple[str, QImage]]) -> None:
        self.clear()
        for qid, image in pictures:
            item = QListWidgetItem(QIcon(QPixmap.fromImage(image)), "")
            # Without the flag UserCheckable Qt draws the mark and leaves the toggling to the list.
            item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
            item.setCheckState(Qt.CheckState.Checked)
            item.setData(_QID, qid)
            self.addItem(item)

    def qids(self, kept: bool) -> list[str]:
        items = [self.item(row) for row in range(self.count())]
        return [
            str(item.data(_QID)) for item in items if (item.checkState() == Qt.CheckState.Checked) == kept
        ]

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Space and self.currentItem() is not None:
            self._toggle(self.currentItem())
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            event.ignore()  # the dialog's default button takes it
        else:
            super().keyPressEvent(event)

    def _toggle(self, item: QListWidgetItem) -> None:
        checked = item.checkState() == Qt.CheckState.Checked
        item.setCheckState(Qt.CheckState.Unchecked if checked else Qt.CheckState.Checked)
        self.toggled.emit()
