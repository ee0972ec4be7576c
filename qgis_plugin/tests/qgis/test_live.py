"""The live session in the plugin: what goes out, and what an event changes on canvas and panel."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from qgis.core import QgsProject, QgsSettings

from tsfal_qgis.engine.engine import SETTING as ENGINE
from tsfal_qgis.live.following import SETTING, Following
from tsfal_qgis.live.live_panel import LivePanel

FAKE = Path(__file__).parents[1] / "fake_engine.py"


def wait(qtbot, accept):
    qtbot.waitUntil(accept, timeout=15_000)


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Set the fake engine; gives a function that writes messages and the events after each."""
    path = tmp_path / "script.jsonl"
    monkeypatch.setenv("TSFAL_FAKE_LIVE", str(path))
    settings = QgsSettings()
    settings.setValue(ENGINE, f'"{sys.executable}" "{FAKE}"')
    settings.setValue(SETTING, True)

    def write(*answers):
        path.write_text("".join(json.dumps(events) + "\n" for events in answers))
        return path.with_suffix(".heard")

    yield write
    settings.remove(ENGINE)
    settings.remove(SETTING)


@pytest.fixture
def following(session, canvas):
    object.__setattr__(session.workspace, "metrics", ({"method": "instant"},))
    found = Following(session, canvas)
    yield found
    found.end()


def heard(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_an_answer_is_told_after_it_is_saved_and_events_change_queue_and_line(
    qtbot, following, session, script, engine_view, folder
):
    queries = [query.qid for query in session.queue.queries]
    said = script(
        ("answer", [
            {"event": "queue", "round": 0, "order": [queries[5], queries[3]], "open": 2,
             "settled": [queries[4], queries[2]], "newly_settled": [queries[4], queries[2]],
             "returned": [], "added": []},
            {"event": "score", "accuracy": 0.84, "error": 0.03, "class_accuracy": {}, "answers": 40,
             "changed": 0.05, "enough": False},
        ]),
        ("answer", [
            {"event": "queue", "round": 0, "order": [queries[5]], "open": 1, "settled": [],
             "newly_settled": [], "returned": [queries[4]], "added": []},
            {"event": "score", "accuracy": 0.9, "error": 0.02, "class_accuracy": {}, "answers": 41,
             "changed": 0.01, "enough": True},
        ]),
    )  # fmt: skip
    lines, counts, panel = [], [], LivePanel()
    qtbot.addWidget(panel)
    following.described.connect(lines.append)
    following.settled.connect(counts.append)
    following.estimated.connect(panel.show_estimates)
    following.begin()
    session.next()
    session.answer(session.workspace.classes[0].id)
    assert len(engine_view(folder)["labels"]) == 1
    wait(qtbot, lambda: bool(counts) and counts[0].startswith("2 queries"))
    assert {message["do"] for message in heard(said)} == {"look", "answer"}
    assert session.queue.status(queries[4]) == "settled"
    wait(qtbot, lambda: any("84" in line for line in lines))
    assert "40" in lines[-1] and "2 settled" in lines[-1]
    session.next()
    session.next()
    # The two best first, and none that is settled.
    assert session.current.qid in (queries[5], queries[3])
    session.answer(session.workspace.classes[0].id)
    wait(qtbot, lambda: "good enough" in lines[-1])
    assert session.queue.status(queries[2]) == "open"
    assert panel.curve.isVisibleTo(panel)


def test_the_query_that_is_looked_at_is_not_withdrawn(following, session):
    session.next()
    current = session.current.qid
    following._settle([current, session.queue.queries[4].qid])
    assert session.queue.status(current) == "open"
    assert session.queue.status(session.queue.queries[4].qid) == "settled"


def test_the_map_changes_its_file_and_nothing_else(
    qtbot, following, session, canvas, folder, script, tmp_path
):
    scene = next(scene for scene in session.workspace.scenes if not scene.unplaced)
    prediction = folder / "rounds" / "000" / scene.name / "prediction.tif"
    files = [Path(shutil.copy(prediction, tmp_path / f"{number}.tif")) for number in (1, 2)]
    view = {"event": "changed", "round": 0, "scene": scene.name, "window": [0, 0, 1, 1], "step": 1}
    paths = [*files, tmp_path / "gone.tif"]
    said = script(*(("look", [{**view, "path": str(path)}]) for path in paths))
    session.layers.zoom_to_all()
    following.layers.show(True)
    following.begin()
    following._timer.stop()

    def sources():
        found = QgsProject.instance().mapLayers().values()
        return [layer.source() for layer in found if layer.source() in map(str, files)]

    wait(qtbot, lambda: sources() == [str(files[0])])
    looked = [message for message in heard(said) if message["do"] == "look" and message["views"]]
    names = {view["scene"] for view in looked[-1]["views"]}
    assert scene.name in names
    box = next(view["bounds"] for view in looked[-1]["views"] if view["scene"] == scene.name)
    corners = scene.outline()
    assert box[0] >= min(x for x, _ in corners) - 1e-6 and box[3] <= max(y for _, y in corners) + 1e-6
    (layer,) = [each for each in QgsProject.instance().mapLayers().values() if each.source() == str(files[0])]
    layer.setOpacity(0.7)
    extent = canvas.extent()
    following.look()
    wait(qtbot, lambda: sources() == [str(files[1])])
    following.look()
    wait(qtbot, lambda: len(heard(said)) >= 3)
    qtbot.wait(300)
    assert sources() == [str(files[1])] and layer.isValid()
    assert layer.opacity() == 0.7 and canvas.extent() == extent
    assert following.layers.shown
    following.show_map(False)
    wait(qtbot, lambda: heard(said)[-1] == {"do": "look", "views": []})


def test_the_session_can_be_switched_off_and_stays_off(qtbot, following, session, script):
    script()
    following.begin()
    assert following.engine.running
    following.switch(False)
    assert not following.engine.running and not Following.enabled()
    session.next()
    session.answer(session.workspace.classes[0].id)
    following.switch(True)
    assert following.engine.running and Following.enabled()


def test_a_session_that_ends_says_why_and_answers_go_on(qtbot, following, session, folder, engine_view):
    lines = []
    following.described.connect(lines.append)
    settings = QgsSettings()
    settings.setValue(ENGINE, f'"{sys.executable}" "{FAKE}" mistake')
    try:
        following.begin()
        wait(qtbot, lambda: not following.engine.running)
        assert lines[-1] == "town.tif: found 1 band, expected 3"
    finally:
        settings.remove(ENGINE)
    session.next()
    session.answer(session.workspace.classes[0].id)
    assert len(engine_view(folder)["labels"]) == 1


def test_a_workspace_of_another_method_has_no_live_map(following, session, script):
    script()
    lines = []
    following.described.connect(lines.append)
    object.__setattr__(session.workspace, "metrics", ({"method": "supervised"},))
    following.begin()
    assert not following.engine.running
    assert "method instant" in lines[-1]
