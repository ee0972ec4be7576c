"""Answers as the engine reads them: through the file, in the very pixels."""

import json

import pytest
from conftest import go_to_round
from qgis.core import QgsCoordinateReferenceSystem, QgsFeature, QgsGeometry, QgsPointXY, QgsProject

from tsfal_qgis.answering.pixels import disc, inside, polygon_of
from tsfal_qgis.store.workspace import Workspace

UTM = QgsCoordinateReferenceSystem("EPSG:25832")


def rectangle(scene, left, top, right, bottom):
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return QgsGeometry.fromPolygonXY([[QgsPointXY(*scene.corner(*at)) for at in corners]])


def test_a_key_labels_the_entire_region_and_goes_to_the_next_query(session, folder, engine_view):
    session.next()
    assert (session.current.rank, session.current.suggested) == (1, 7)
    session.answer(3)
    session.accept()
    session.accept()
    assert session.current.rank == 4
    found = engine_view(folder)
    assert [label[1:] for label in found["labels"]] == [
        [3, "anna", "filled"],
        [7, "anna", "accepted"],
        [7, "anna", "accepted"],
    ]
    assert [decision[1:] for decision in found["decisions"]] == [["done", "anna"]] * 3
    for name, class_id in (("town", 3), ("town_rotated", 7), ("unplaced", 7)):
        square = sorted([8 + x, 8 + y, class_id] for x in range(10) for y in range(10))
        assert sorted(found["scenes"][name]) == square
    assert not found["rejected"]


def test_skipped_and_unsure_are_decisions_without_labels(session, folder, engine_view):
    session.next()
    session.skip()
    session.unsure()
    found = engine_view(folder)
    assert [decision[1] for decision in found["decisions"]] == ["skipped", "unsure"]
    assert found["labels"] == []
    counts = session.queue.counts()
    assert counts == {"open": 10, "done": 0, "skipped": 1, "unsure": 1, "settled": 0}


@pytest.mark.parametrize("name", ["town", "town_rotated", "unplaced"])
@pytest.mark.parametrize("size", [1, 2, 7])
def test_the_brush_s_polygon_rasterises_to_exactly_the_painted_pixels(
    session, folder, name, size, engine_view
):
    scene = next(scene for scene in session.workspace.scenes if scene.name == name)
    cells = set()
    for at in ((20, 30), (21, 33), (40, 40), (41, 41), (0, 0), (119, 89)):
        cells |= inside(disc(at, size), scene)
    cells -= {(20, 31)}
    session.class_id = 0
    session.draw(polygon_of(cells, scene), session.store.layer_of(scene).crs(), "brushed")
    assert not session.messages
    found = {(x, y) for x, y, _ in engine_view(folder)["scenes"][name]}
    assert found == cells


def test_a_drawn_polygon_answers_its_query_once_the_annotator_moves_on(session, folder, engine_view):
    session.next()
    scene = session.scene
    session.class_id = 0
    session.draw(rectangle(scene, 8, 8, 12, 18), UTM, "drawn")
    session.class_id = 3
    session.draw(rectangle(scene, 12, 8, 18, 18), UTM, "drawn")
    assert session.current.rank == 1
    session.next()
    found = engine_view(folder)
    assert [label[0] for label in found["labels"]] == ["000-000001", "000-000001"]
    assert [decision[:2] for decision in found["decisions"]] == [["000-000001", "done"]]
    assert {(x, c) for x, y, c in found["scenes"]["town"]} == {(x, 0 if x < 12 else 3) for x in range(8, 18)}


def test_enter_finishes_a_query_on_which_something_was_drawn(session, folder, engine_view):
    session.next()
    session.class_id = 0
    session.draw(rectangle(session.scene, 8, 8, 10, 10), UTM, "drawn")
    session.accept()
    assert session.current.rank == 2
    assert [label[3] for label in engine_view(folder)["labels"]] == ["drawn"]


def test_a_polygon_elsewhere_is_a_label_without_a_query(session, folder, engine_view):
    session.next()
    session.draw(rectangle(session.scene, 60, 60, 63, 63), UTM, "drawn")
    session.next()
    found = engine_view(folder)
    assert found["labels"][0][0] is None
    assert found["decisions"] == []


def test_undo_and_redo_reach_back_over_saved_changes(session, folder, engine_view):
    session.next()
    session.answer(3)
    session.answer(3)
    session.undo()
    assert session.current.rank == 2
    assert session.queue.status(session.current.qid) == "open"
    assert len(engine_view(folder)["labels"]) == 1
    session.undo()
    assert engine_view(folder)["labels"] == engine_view(folder)["decisions"] == []
    assert not session.store.history.can_undo
    session.redo()
    session.redo()
    found = engine_view(folder)
    assert [label[0] for label in found["labels"]] == ["000-000001", "000-000002"]
    assert len(found["decisions"]) == 2
    session.undo()
    session.skip()
    assert not session.store.history.can_redo


def test_the_last_query_is_reopened_also_in_a_new_session(begin, folder, engine_view):
    first = begin()
    first.next()
    first.answer(3)
    first.unsure()
    again = begin()
    again.reopen()
    assert (again.current.rank, again.queue.status(again.current.qid)) == (2, "open")
    again.reopen()
    assert again.current.rank == 1
    assert engine_view(folder)["labels"] == engine_view(folder)["decisions"] == []
    again.reopen()
    assert "No query was decided" in again.messages[-1]


def test_answering_again_replaces_the_answer(session, folder, engine_view):
    session.next()
    session.answer(3)
    session.previous()
    session.answer(7)
    found = engine_view(folder)
    assert [label[1] for label in found["labels"]] == [7]
    assert len(found["decisions"]) == 1


def test_a_label_that_cannot_be_used_is_rejected_and_nothing_is_saved(session, folder, engine_view):
    session.next()
    scene = session.scene
    line = QgsGeometry.fromPolygonXY([[QgsPointXY(0, 0), QgsPointXY(1, 1), QgsPointXY(0, 0)]])
    far = rectangle(scene, 50_000, 0, 50_010, 10)
    for class_id, shape, why in (
        (None, rectangle(scene, 0, 0, 5, 5), "Choose a class"),
        (99, rectangle(scene, 0, 0, 5, 5), "not in the class map"),
        (3, line, "no area"),
        (3, QgsGeometry(), "no area"),
        (3, far, "outside every scene"),
    ):
        session.class_id = class_id
        session.draw(shape, UTM, "drawn")
        assert why in session.messages[-1]
    session.answer(None)
    assert "Choose a class" in session.messages[-1]
    assert session.current.rank == 1
    assert engine_view(folder)["labels"] == engine_view(folder)["decisions"] == []


def test_edits_of_qgis_own_tools_that_cannot_be_saved_stay_until_they_are_repaired(
    session, folder, engine_view
):
    session.next()
    layer = session.store.labels[0]
    drawn = QgsFeature(layer.fields())
    drawn.setGeometry(rectangle(session.scene, 60, 60, 70, 70))
    assert layer.addFeature(drawn)
    for act in (lambda: session.answer(3), session.next, session.close):
        act()
        assert "not saved" in session.messages[-1].lower()
        assert [each.geometry().area() > 0 for each in layer.editBuffer().addedFeatures().values()] == [True]
    assert QgsProject.instance().mapLayer(layer.id()) is layer
    assert engine_view(folder)["labels"] == []
    layer.changeAttributeValue(drawn.id(), layer.fields().indexOf("class_id"), 7)
    session.queue.select(session.queue.queries[0].qid)
    session.answer(3)
    assert sorted(label[1] for label in engine_view(folder)["labels"]) == [3, 7]


def test_a_polygon_that_crosses_itself_is_repaired(session, folder, engine_view):
    session.next()
    scene = session.scene
    bow = [(60, 60), (70, 70), (70, 60), (60, 70)]
    session.draw(QgsGeometry.fromPolygonXY([[QgsPointXY(*scene.corner(*at)) for at in bow]]), UTM, "drawn")
    found = engine_view(folder)
    assert not session.messages
    assert 40 <= len(found["scenes"]["town"]) <= 60
    assert not found["rejected"]


def test_two_windows_on_one_workspace(session, folder, annotator, engine_view):
    ben = annotator("ben")
    session.next()
    session.answer(3)
    assert ben.send("refresh")["done"] == 1
    assert ben.send("next")["rank"] == 2
    ben.send("answer 7")
    ben.send("skip")
    session.refresh()
    session.next()
    assert session.current.rank == 4
    found = engine_view(folder)
    assert [label[1:3] for label in found["labels"]] == [[3, "anna"], [7, "ben"]]
    assert {decision[2] for decision in found["decisions"]} == {"anna", "ben"}


def test_queries_assigned_to_others_are_not_shown(begin, folder):
    assignments = {f"000-{rank:06d}": ["ben"] for rank in range(1, 4)}
    (folder / "rounds" / "000" / "assignments.json").write_text(json.dumps(assignments))
    anna = begin("anna")
    anna.next()
    assert (len(anna.queue), anna.current.rank) == (9, 4)
    assert len(begin("ben").queue) == 3


def test_the_next_round_moves_queries_and_labels(session, folder, engine_view):
    session.next()
    session.answer(3)
    go_to_round(folder, 1)
    session.start_round(Workspace.read(folder))
    assert session.queue.counts()["open"] == 12
    session.next()
    assert (session.current.qid, session.current.round) == ("001-000001", 1)
    session.accept()
    assert [label[0] for label in engine_view(folder)["labels"]] == ["000-000001", "001-000001"]


def test_a_qgis_that_is_killed_loses_nothing_finished(folder, annotator, engine_view):
    anna = annotator("anna")
    for line in ("next", "answer 3", "paint"):
        anna.send(line)
    anna.process.kill()
    anna.process.wait()
    assert [label[3] for label in engine_view(folder)["labels"]] == ["filled", "brushed"]
