"""Fast answers: the same class again, places that the annotator finds, and where drawing begins."""

from array import array

import pytest
from conftest import go_to_round
from osgeo import gdal
from qgis.core import QgsCoordinateReferenceSystem, QgsCoordinateTransform, QgsPointXY, QgsProject
from qgis.gui import QgsAdvancedDigitizingDockWidget
from qgis.PyQt.QtCore import QPoint, QPointF, Qt
from qgis.PyQt.QtGui import QWheelEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QMainWindow

from tsfal_qgis.answering.answering import Answering
from tsfal_qgis.answering.batch_approval import BatchApproval
from tsfal_qgis.answering.likeness import most_alike
from tsfal_qgis.layers.thumbnails import Thumbnails
from tsfal_qgis.panel.dock import TsfalDock
from tsfal_qgis.store.queries import Query


def scene_of(session, name):
    return next(scene for scene in session.workspace.scenes if scene.name == name)


def point_on_canvas(session, canvas, name, column, row):
    scene = scene_of(session, name)
    crs = session.store.layer_of(scene).crs()
    to_canvas = QgsCoordinateTransform(crs, canvas.mapSettings().destinationCrs(), QgsProject.instance())
    return to_canvas.transform(QgsPointXY(*scene.corner(column + 0.5, row + 0.5)))


def test_the_last_class_again_is_one_key(session, folder, engine_view):
    session.next()
    session.answer_as_before()
    assert "No query was labelled yet" in session.messages.pop()
    assert session.current.rank == 1
    session.answer(3)
    session.answer_as_before()
    session.accept()
    session.answer_as_before()
    assert [label[1] for label in engine_view(folder)["labels"]] == [3, 3, 7, 7]
    assert session.current.rank == 5


@pytest.mark.parametrize("name", ["town", "town_rotated", "unplaced"])
@pytest.mark.parametrize(
    ("at", "columns", "rows"),
    [((62, 41), range(60, 64), range(40, 44)), ((119, 89), range(116, 120), range(88, 90))],
)
def test_a_click_labels_the_cell_below_it(session, folder, engine_view, canvas, name, at, columns, rows):
    session.next()
    while session.current.scene != name:
        session.skip()
    rank = session.current.rank
    if name == "unplaced":
        canvas.setDestinationCrs(QgsCoordinateReferenceSystem())
    session.class_id = 3
    session.label_place(point_on_canvas(session, canvas, name, *at))
    assert not session.messages
    found = engine_view(folder)
    assert sorted(found["scenes"][name]) == sorted([x, y, 3] for x in columns for y in rows)
    assert found["labels"] == [[None, 3, "anna", "filled"]]
    assert session.current.rank == rank
    session.undo()
    assert engine_view(folder)["labels"] == []


def test_a_click_on_a_label_corrects_that_place_alone(session, folder, engine_view, canvas):
    session.next()
    session.answer(3)
    session.class_id = 0
    session.label_place(point_on_canvas(session, canvas, "town", 12, 12))
    found = {(x, y): value for x, y, value in engine_view(folder)["scenes"]["town"]}
    cell = {(x, y) for x in range(12, 16) for y in range(12, 16)}
    assert {at for at, value in found.items() if value == 0} == cell
    assert {value for at, value in found.items() if at not in cell} == {3} and len(found) == 100
    session.undo()
    assert {value for _, _, value in engine_view(folder)["scenes"]["town"]} == {3}


def test_a_click_beside_every_scene_says_so(session, folder, engine_view):
    session.label_place(QgsPointXY(-5000, -5000))
    assert session.messages == ["This place lies outside every scene."]
    assert engine_view(folder)["labels"] == []


class Iface:
    """The part of QGIS's interface that `Answering` uses."""

    def __init__(self, canvas):
        self._window, self._canvas = QMainWindow(), canvas
        self._cad = QgsAdvancedDigitizingDockWidget(canvas)

    def mainWindow(self):
        return self._window

    def mapCanvas(self):
        return self._canvas

    def cadDockWidget(self):
        return self._cad

    def registerMainWindowAction(self, action, key):
        action.setShortcut(key)

    def unregisterMainWindowAction(self, action):
        pass

    def setActiveLayer(self, layer):
        pass


@pytest.fixture
def answering(session, canvas, qtbot):
    dock = TsfalDock("anna")
    qtbot.addWidget(dock)
    made = Answering(Iface(canvas), dock)
    made.begin(session)
    yield made
    canvas.unsetMapTool(canvas.mapTool())
    made.end()
    made.remove()


@pytest.mark.parametrize(
    ("suggested", "pixels", "tool"), [(None, 4096, "polygon"), (None, 1024, ""), (7, 4096, "")]
)
def test_a_large_region_without_a_suggestion_begins_in_drawing_mode_once(
    answering, monkeypatch, suggested, pixels, tool
):
    queue = answering.session.queue
    first = queue.queries[0]
    values = {**vars(first), "suggested": suggested, "pixels": pixels}
    queue.queries[0] = Query(**values)
    answering.session.next()
    assert answering.tools.active == tool
    if tool:
        answering.tools._canvas.unsetMapTool(answering.tools._canvas.mapTool())
        queue.queries[1] = Query(**{**values, "qid": queue.queries[1].qid})
        answering.session.skip()
        assert answering.tools.active == ""


def test_keys_choose_the_class_of_clicks_on_wrong_places(answering, canvas, folder, engine_view):
    answering.session.next()
    answering.keys.actions["hunt"].trigger()
    assert answering.tools.active == "hunt" and "each click" in answering._dock.answer.mode_text.text()
    answering.keys.actions["class_2"].trigger()
    answering.tools.hunted.emit(point_on_canvas(answering.session, canvas, "town", 40, 40), 0)
    assert engine_view(folder)["labels"] == [[None, 0, "anna", "filled"]]
    assert answering.session.current.rank == 1


@pytest.fixture
def batch(session):
    made = BatchApproval(session, None)
    made.message.connect(session.messages.append)
    yield made
    made.end()


def test_a_sheet_is_accepted_but_for_those_taken_out_and_undone_at_once(batch, session, folder, engine_view):
    session.next()
    session.answer(3)
    batch.begin()
    sheet = batch.sheet
    assert sheet.isVisible() and sheet.classes.currentText() == "tree: 11 open"
    pictures = sheet.thumbnails
    assert pictures.count() == 11 and sheet.accept_all.text() == "Accept 11  Return"
    out = [pictures.item(row).data(Qt.ItemDataRole.UserRole) for row in (0, 4)]
    pictures.itemClicked.emit(pictures.item(0))
    pictures.setCurrentRow(4)
    QTest.keyClick(pictures, Qt.Key.Key_Space)
    assert sheet.accept_all.text() == "Accept 9  Return"
    QTest.keyClick(pictures, Qt.Key.Key_Return)
    assert session.messages == ["9 suggestions were accepted; one undo takes them back."]
    assert not sheet.isVisible(), "those taken out are not shown again"
    found = engine_view(folder)
    assert (
        sorted(each[1:] for each in found["labels"])
        == [[3, "anna", "filled"]] + [[7, "anna", "accepted"]] * 9
    )
    assert not {each[0] for each in found["labels"]} & set(out)
    assert session.queue.counts()["open"] == 2 and session.current.qid in out
    # On a busy machine rows of one sheet may be saved more than a moment apart, which then count as keys.
    assert sum(found["effort"].values()) == 10 and set(found["effort"]) <= {"batch", "key"}
    session.undo()
    assert len(engine_view(folder)["labels"]) == 1 and session.queue.counts()["open"] == 11
    session.redo()
    again = engine_view(folder)
    # Rows that were saved within a millisecond come in any order.
    for rows in ("labels", "decisions"):
        assert sorted(again[rows], key=str) == sorted(found[rows], key=str)
    assert again["scenes"] == found["scenes"] and session.queue.counts()["open"] == 2


def test_what_was_drawn_stays_on_top_of_a_batch(batch, session, folder, engine_view, canvas):
    session.class_id = 0
    session.label_place(point_on_canvas(session, canvas, "town", 12, 12))
    batch.begin()
    batch.sheet.accept_all.click()
    found = {(x, y): value for x, y, value in engine_view(folder)["scenes"]["town"]}
    cell = {(x, y) for x in range(12, 16) for y in range(12, 16)}
    assert {at for at, value in found.items() if value == 0} == cell


def test_without_suggestions_there_is_no_sheet(batch, session):
    for position, query in enumerate(session.queue.queries):
        session.queue.queries[position] = Query(**{**vars(query), "suggested": None})
    batch.begin()
    assert not batch.sheet.isVisible() and "No open query has a suggestion" in session.messages[0]


def test_a_sheet_that_is_passed_on_changes_nothing(batch, session, folder, engine_view):
    batch.begin()
    batch.sheet.pass_on.click()
    assert not batch.sheet.isVisible() and engine_view(folder)["labels"] == []


@pytest.mark.parametrize("name", ["town", "town_rotated", "unplaced"])
def test_a_thumbnail_shows_the_ground_of_its_region(session, name):
    session.next()
    while session.current.scene != name:
        session.skip()
    thumbnails, scene = Thumbnails(), scene_of(session, name)
    region = session.layers.queries.region(session.current)
    image = thumbnails.draw(region, scene)
    colours = {image.pixel(x, y) for x in range(30, 80) for y in range(30, 80)}
    assert len(colours) > 20, "the pictures are noise"
    outlined = thumbnails.outline(image, region, scene)
    changed = [(x, y) for x in range(112) for y in range(112) if outlined.pixel(x, y) != image.pixel(x, y)]
    assert 150 < len(changed) < 2000
    middle = [(x, y) for x, y in changed if 40 < x < 72 and 40 < y < 72]
    assert not middle, "the outline runs around the region"


def test_like_pictures_are_near_each_other():
    assert most_alike([(0, 0), (9, 9), (1, 0), (4, 4)], 3) == [0, 2, 3]


def write_segments(folder, name, numbers):
    """Write the segments of a scene, numbered by cells of 4 × 4 pixels."""
    path = folder / "rounds" / "001" / name / "segments.tif"
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), 120, 90, 1, gdal.GDT_UInt32)
    rows = [array("I", [numbers.get((x // 4, y // 4), 0) for x in range(120)]) for y in range(90)]
    dataset.WriteRaster(0, 0, 120, 90, b"".join(row.tobytes() for row in rows))


# Two segments of one kind touch, a third lies beyond a border.
SEGMENTS = {(6, 5): 1, (7, 5): 1, (7, 6): 2, (8, 6): 2, (10, 6): 3}


@pytest.mark.parametrize(
    ("name", "at", "steps", "cells"),
    [
        ("town", (6, 5), 0, {(6, 5), (7, 5)}),
        ("town_rotated", (6, 5), 1, {(6, 5), (7, 5), (7, 6), (8, 6)}),
        ("unplaced", (8, 6), 9, {(6, 5), (7, 5), (7, 6), (8, 6)}),
        ("town", (6, 5), -1, {(6, 5)}),
        ("town", (9, 6), 2, {(9, 6)}),
    ],
)
def test_a_click_takes_the_segment_below_it_and_grows_on_one_kind(
    begin, folder, engine_view, canvas, name, at, steps, cells
):
    write_segments(folder, name, SEGMENTS)
    go_to_round(folder, 1)
    session = begin()
    session.next()
    while session.current.scene != name:
        session.skip()
    if name == "unplaced":
        canvas.setDestinationCrs(QgsCoordinateReferenceSystem())
    session.class_id = 3
    session.label_place(point_on_canvas(session, canvas, name, at[0] * 4 + 1, at[1] * 4 + 2), steps)
    assert not session.messages
    found = engine_view(folder)
    pixels = [(x * 4 + dx, y * 4 + dy) for x, y in cells for dx in range(4) for dy in range(4)]
    assert sorted(found["scenes"][name]) == sorted([*pixel, 3] for pixel in pixels)
    assert found["effort"].get("point" if len(cells) == 1 else "key") == 1


def test_the_place_below_the_pointer_is_outlined_and_follows_the_wheel(answering, canvas, qtbot):
    asked = []
    canvas.show()
    answering.session.next()
    answering.keys.actions["hunt"].trigger()
    tool = answering.tools.hunt
    find = tool.find
    tool.find = lambda point, steps: asked.append(steps) or find(point, steps)
    view, middle = canvas.viewport(), canvas.viewport().rect().center()
    QTest.mouseMove(view, middle)
    qtbot.waitUntil(lambda: bool(asked))
    assert tool._outline.asGeometry().area() > 0
    for delta in (120, 120, -120, -120, -120, -120):
        turn = QWheelEvent(
            QPointF(middle), QPointF(view.mapToGlobal(middle)), QPoint(), QPoint(0, delta),
            Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(view, turn)
    assert asked[-6:] == [1, 2, 1, 0, -1, -1]


def test_a_place_that_was_clicked_stays_on_top_of_a_fill_in_any_order(session, folder, engine_view, canvas):
    cell = {(x, y) for x in range(12, 16) for y in range(12, 16)}
    session.next()
    query, session.class_id = session.current, 0
    session.label_place(point_on_canvas(session, canvas, "town", 12, 12))
    session.answer(3)
    session.queue.select(query.qid)
    session.answer(7)
    found = {(x, y): value for x, y, value in engine_view(folder)["scenes"]["town"]}
    assert found == {(x, y): 0 if (x, y) in cell else 7 for x in range(8, 18) for y in range(8, 18)}
    overlaps = [
        first.geometry().intersection(second.geometry()).area()
        for first in session.store.labels[0].getFeatures()
        for second in session.store.labels[0].getFeatures()
        if first.id() < second.id()
    ]
    assert max(overlaps) == 0
