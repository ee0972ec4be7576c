"""The page in QGIS's options: the choice of the engine, and a test of it."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsProject
from qgis.gui import QgsOptionsPageWidget, QgsOptionsWidgetFactory
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ..compat import tr
from ..engine.engine import INSTALL, EngineConfig, split_command
from .widgets import text_label

_ICON = str(Path(__file__).parents[1] / "icon.svg")


class TsfalOptionsFactory(QgsOptionsWidgetFactory):
    """Makes the page whenever QGIS opens its options."""

    def __init__(self) -> None:
        super().__init__("TSFAL", QIcon(_ICON))

    def icon(self) -> QIcon:  # noqa: D102
        return QIcon(_ICON)

    def createWidget(self, parent: QWidget | None) -> QgsOptionsPageWidget:  # noqa: D102
        return TsfalOptionsPage(parent)


class TsfalOptionsPage(QgsOptionsPageWidget):
    """The engine's command, with those found to choose from, and a test."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        home = QgsProject.instance().homePath()
        self._config = EngineConfig([home] if home else [])
        self.command = QComboBox()
        self.command.setEditable(True)
        self.command.addItems(
            [str(path) for path in dict.fromkeys([*self._config.installed(), *self._config.offers()])]
        )
        self.command.setCurrentText(self._config.chosen)
        self.command.lineEdit().setPlaceholderText(tr("found automatically"))
        self.command.setToolTip(tr("The program tsfal-geo, or the folder of its Python environment"))
        browse = QPushButton(tr("Browse …"))
        browse.clicked.connect(self._browse)
        self.test_button = QPushButton(tr("Test"))
        self.test_button.clicked.connect(self.test)
        row = QHBoxLayout()
        row.addWidget(self.command, 1)
        row.addWidget(browse)
        row.addWidget(self.test_button)
        self.answer = _selectable_label("")
        layout = QVBoxLayout(self)
        layout.addWidget(_selectable_label(tr("Training and mapping run in tsfal-geo, a separate program:")))
        layout.addLayout(row)
        layout.addWidget(self.answer)
        layout.addWidget(_selectable_label(tr("To install it: {command}").format(command=INSTALL)))
        layout.addStretch()

    def apply(self) -> None:
        """Save the entry; QGIS calls this on OK."""
        self._config.chosen = self.command.currentText()

    def test(self) -> None:
        """Ask the engine in the field, or the one that is found, for its version, and show the answer."""
        text = self.command.currentText().strip()
        command = split_command(text) if text else self._config.found()
        handshake = self._config.check(command)
        if handshake.version is None:
            self.answer.setText(handshake.problem)
        else:
            good = tr("tsfal-geo {version} answers: {command}")
            self.answer.setText(good.format(version=handshake.version, command=" ".join(command)))

    def _browse(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, tr("The program tsfal-geo"))
        if path:
            self.command.setCurrentText(path)


def _selectable_label(text: str) -> QLabel:
    label = text_label(text)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
