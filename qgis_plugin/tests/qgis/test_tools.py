"""Keys and the brush under simulated keys and mouse."""

import pytest
from qgis.core import QgsPointXY, QgsRectangle
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtGui import QKeySequence
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QLineEdit, QMainWindow, QPushButton, QVBoxLayout, QWidget

from tsfal_qgis.answering.keys import Key, Keys, WhileHeld
from tsfal_qgis.answering.maptools import LARGEST_BRUSH, PickPoint, PixelBrush
from tsfal_qgis.answering.pixels import disc, line
from tsfal_qgis.store.workspace import Scene

SCENE = Scene("town", None, 40, 60, (1, 0, 500_000, 0, -1, 5_400_040), "EPSG:25832")
LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


class Iface:
    """The part of QGIS's interface that `Keys` uses."""

    def __init__(self, window):
        self._window = window
        self.registered = []

    def mainWindow(self):
        return self._window

    def registerMainWindowAction(self, action, key):
        action.setShortcut(QKeySequence(key))
        self.registered.append(action)

    def unregisterMainWindowAction(self, action):
        self.registered.remove(action)


@pytest.fixture
def window(qtbot):
    made = QMainWindow()
    body = QWidget()
    column = QVBoxLayout(body)
    made.button, made.field = QPushButton("b"), QLineEdit()
    column.addWidget(made.button)
    column.addWidget(made.field)
    made.setCentralWidget(body)
    qtbot.addWidget(made)
    made.show()
    made.activateWindow()
    qtbot.waitUntil(made.isActiveWindow)
    return made


def test_keys_work_on_buttons_and_rest_while_somebody_types(window):
    pressed = []
    iface = Iface(window)
    names = {"n": "N", "enter": "Return"}
    keys = Keys(
        iface, [Key(name, name, key, lambda name=name: pressed.append(name)) for name, key in names.items()]
    )
    window.button.setFocus()
    QTest.keyClick(window.button, Qt.Key.Key_N)
    assert pressed == [], "no workspace is open"
    keys.switch(True)
    QTest.keyClick(window.button, Qt.Key.Key_N)
    QTest.keyClick(window.button, Qt.Key.Key_Return)
    assert pressed == ["n", "enter"]
    window.field.setFocus()
    entered = []
    window.field.returnPressed.connect(lambda: entered.append(window.field.text()))
    QTest.keyClicks(window.field, "nN")
    QTest.keyClick(window.field, Qt.Key.Key_Return)
    assert (pressed, entered) == (["n", "enter"], ["nN"])
    keys.remove()
    assert iface.registered == []
    window.button.setFocus()
    QTest.keyClick(window.button, Qt.Key.Key_N)
    assert pressed == ["n", "enter"]


def test_a_held_key_ends_when_it_is_released(window):
    ended = []
    held = WhileHeld(QKeySequence("H"), lambda: ended.append(True))
    QTest.keyRelease(window.button, Qt.Key.Key_J)
    assert ended == []
    QTest.keyRelease(window.button, Qt.Key.Key_H)
    assert ended == [True]
    held.stop()
    assert ended == [True]


@pytest.mark.parametrize(("size", "pixels"), [(1, 1), (2, 4), (3, 9), (5, 21), (9, 69)])
def test_the_brush_is_a_disc_of_pixels(size, pixels):
    assert len(disc((0, 0), size)) == pixels


def test_a_quick_stroke_has_no_gaps():
    cells = line((0, 0), (7, 3))
    assert (cells[0], cells[-1]) == ((0, 0), (7, 3))
    assert all(max(abs(b[0] - a[0]), abs(b[1] - a[1])) == 1 for a, b in zip(cells, cells[1:]))


def at(canvas, column, row):
    point = canvas.getCoordinateTransform().transform(QgsPointXY(*SCENE.corner(column + 0.5, row + 0.5)))
    return QPoint(round(point.x()), round(point.y()))


@pytest.fixture
def shown(canvas):
    canvas.setExtent(QgsRectangle(500_000, 5_400_000, 500_060, 5_400_040))
    canvas.show()
    return canvas


def test_a_stroke_paints_the_pixels_below_it_and_none_beyond_the_scene(shown):
    brush = PixelBrush(shown)
    brush.scene = SCENE
    brush.size = 1
    shown.setMapTool(brush)
    found = []
    brush.painted.connect(lambda shape: found.append(shape))
    view = shown.viewport()
    QTest.mousePress(view, LEFT, NONE, at(shown, 10, 10))
    QTest.mouseRelease(view, LEFT, NONE, at(shown, 14, 12))
    assert found[0].area() == pytest.approx(5)
    QTest.mousePress(view, LEFT, NONE, at(shown, 58, 5))
    QTest.mouseRelease(view, LEFT, NONE, at(shown, 62, 5))
    assert found[1].area() == pytest.approx(2)
    brush.remove()


def test_the_brush_stays_within_its_sizes(shown):
    brush = PixelBrush(shown)
    assert brush.resize(-100) == 1
    assert brush.resize(1000) == LARGEST_BRUSH
    brush.remove()


def test_a_click_picks_a_place(shown):
    tool = PickPoint(shown, Qt.CursorShape.CrossCursor)
    shown.setMapTool(tool)
    found = []
    tool.picked.connect(lambda point: found.append(point))
    QTest.mouseClick(shown.viewport(), LEFT, NONE, at(shown, 20, 30))
    assert SCENE.cell(found[0].x(), found[0].y()) == (20, 30)
