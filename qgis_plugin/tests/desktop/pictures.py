"""The pictures of the README, taken in the real desktop from a workspace of the sample town."""

from guards import drive
from qgis.core import QgsApplication
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QDockWidget
from qgis.utils import iface

_SIZE = (1280, 720)


def walk(desktop):
    window, plugin = iface.mainWindow(), desktop.plugin()
    window.resize(*_SIZE)
    browser = window.findChild(QDockWidget, "Browser")
    browser.hide()
    plugin.dock.start.author.setText("anna")
    plugin.open_workspace(desktop.workspace)
    desktop.until(lambda: plugin.session is not None, "opening the workspace", 60)
    # QGIS does not return to the light theme whole, so that the dark one comes last.
    show_map(desktop, plugin.session)
    desktop.shot("map")
    answer(desktop, window)
    desktop.shot("answer")
    QgsApplication.setUITheme("Night Mapping")
    desktop.pump(300)
    desktop.shot("answer_dark")
    plugin.dock.go_to(1)
    show_map(desktop, plugin.session)
    desktop.shot("map_dark")


def show_map(desktop, session):
    session.layers.show_query(None)
    session.layers.zoom_to_all()
    session.layers.show_prediction(session.workspace.round)
    session.layers.group.findGroup("Error mask").setItemVisibilityChecked(True)
    desktop.render()


def answer(desktop, window):
    session = desktop.plugin().session
    for title in ("Prediction", "Error mask"):
        session.layers.group.findGroup(title).setItemVisibilityChecked(False)
    canvas = iface.mapCanvas()
    window.activateWindow()
    canvas.setFocus()
    QTest.keyClick(canvas, Qt.Key.Key_N)
    for _ in range(6):
        QTest.keyClick(canvas, Qt.Key.Key_Return)
        desktop.pump(50)
    desktop.pump(600)  # the flash ends
    desktop.render()


_keep = drive(walk, 120)
