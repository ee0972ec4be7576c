"""The pictures of the README, taken in the real desktop from a workspace of the sample town."""

from guards import drive
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QDockWidget
from qgis.utils import iface

_SIZE = (1240, 780)


def walk(desktop):
    window, plugin = iface.mainWindow(), desktop.plugin()
    window.resize(*_SIZE)
    browser = window.findChild(QDockWidget, "Browser")
    browser.hide()
    plugin.dock.start.author.setText("anna")
    plugin.open_workspace(desktop.workspace)
    desktop.until(lambda: plugin.session is not None, "opening the workspace", 60)
    session = plugin.session
    session.layers.zoom_to_all()
    session.layers.show_prediction(session.workspace.round)
    desktop.render()
    desktop.shot("map")
    session.layers.group.findGroup("Prediction").setItemVisibilityChecked(False)
    canvas = iface.mapCanvas()
    window.activateWindow()
    canvas.setFocus()
    QTest.keyClick(canvas, Qt.Key.Key_N)
    for _ in range(6):
        QTest.keyClick(canvas, Qt.Key.Key_Return)
        desktop.pump(50)
    canvas.zoomByFactor(2.5)
    desktop.pump(600)  # the flash ends
    desktop.render()
    desktop.shot("answer")


_keep = drive(walk, 120)
