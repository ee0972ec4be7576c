"""The texts that the panel shows and the signals that it emits."""

import json

import pytest
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QLabel, QPushButton

from tsfal_qgis.panel.compare_page import miou_curve
from tsfal_qgis.panel.dock import Step, TsfalDock
from tsfal_qgis.store.queries import Query
from tsfal_qgis.store.workspace import ClassInfo, Workspace

NASTY = "<b>bold</b> <img src=x> &amp;"
CLASSES = (ClassInfo(3, "water", (0, 0, 255)), ClassInfo(0, NASTY, (255, 0, 0)))
FIGURES = {"labelled_share": 0.1, "budget": 0.3, "valid_pixels": 1000, "queries": 5}


def workspace(tmp_path, *miou, status="waiting"):
    rounds = tuple({"round": number, "miou": value, **FIGURES} for number, value in enumerate(miou))
    return Workspace(tmp_path / NASTY.replace("/", ""), CLASSES, (), len(rounds) - 1, status, None, rounds)


@pytest.fixture
def dock(qtbot):
    made = TsfalDock("anna")
    qtbot.addWidget(made)
    return made


def test_without_a_workspace_only_the_first_page_and_the_log_are_there(dock):
    assert dock.step == Step.START
    assert [tool.isEnabled() for tool in dock._steps] == [True, False, False, True, False, False]
    assert "open or create" in dock.next_step.text()


def test_names_are_shown_as_they_are(dock, tmp_path):
    dock.show_workspace(workspace(tmp_path, None))
    query = Query("q1", 0, NASTY, NASTY, 1, 0.5, NASTY, 0, 7, 0, 1)
    dock.answer.show_query(query, "open", CLASSES)
    dock.show_problem(NASTY)
    assert NASTY in dock.answer.query_text.text()
    for label in dock.findChildren(QLabel):
        if label.text():
            assert label.textFormat() == Qt.TextFormat.PlainText or "<" not in label.text(), label.text()


def test_budget_queries_and_miou_are_shown(dock, tmp_path):
    opened = workspace(tmp_path, 0.4, 0.5)
    dock.show_workspace(opened)
    counts = {"open": 3, "done": 1, "skipped": 0, "unsure": 1}
    dock.show_progress(opened, counts, 50)
    assert (dock.budget.value(), dock.budget.format()) == (500, "budget: 15.0 % spent, 15.0 % left")
    assert "3 open · 1 done" in dock.counts.text()
    assert dock.history.text() == "mIoU 0.400 → 0.500"
    assert "answer the open queries" in dock.next_step.text()


@pytest.mark.parametrize(
    ("status", "left", "text"),
    [("waiting", 0, "train the next round"), ("done", 0, "export"), ("training", 0, "continue the training")],
)
def test_the_next_step(dock, tmp_path, status, left, text):
    opened = workspace(tmp_path, 0.4, status=status)
    dock.show_progress(opened, {"open": left, "done": 1, "skipped": 0, "unsure": 0}, 0)
    assert text in dock.next_step.text()


def test_rounds_are_compared(dock, tmp_path):
    dock.show_workspace(workspace(tmp_path, 0.4, None))
    table = dock.compare.table
    shown = [[table.item(row, column).text() for column in range(4)] for row in range(2)]
    assert shown == [["0", "10.0 %", "0.400", "5"], ["1", "10.0 %", "–", "5"]]
    assert table.item(0, 4).text() == "–", "a round of an older engine has not counted answers"
    rounds = []
    dock.compare.round_chosen.connect(rounds.append)
    dock.compare.earlier.click()
    dock.compare.earlier.click()
    assert rounds == [0, 1]


def test_a_person_s_work_and_the_change_of_each_class_are_shown(dock, tmp_path):
    rounds = tuple(
        {"round": n, "miou": 0.5, "answers": 40 * n, "minutes": 2.54 * n, "class_iou": iou, **FIGURES}
        for n, iou in enumerate(({"road": 0.5, NASTY: None}, {"road": 0.625, NASTY: 0.25}))
    )
    dock.show_workspace(Workspace(tmp_path, CLASSES, (), 1, "waiting", None, rounds))
    assert [dock.compare.table.item(1, column).text() for column in (4, 5)] == ["40", "2.5"]
    table = dock.compare.classes
    shown = [[table.item(row, column).text() for column in range(3)] for row in range(2)]
    assert shown == [["road", "0.625", "+0.125"], [NASTY, "0.250", "–"]]


@pytest.mark.parametrize(
    ("answers", "along", "unit"),
    [((0, 40), [0, 40], "answers"), ((None, 40), [0, 1], "round"), ((20, 20), [0, 1], "round")],
)
def test_the_curve_is_drawn_over_answers_where_they_are_counted(dock, tmp_path, answers, along, unit):
    rounds = tuple({"round": n, "miou": 0.4 + n / 10, "answers": each} for n, each in enumerate(answers))
    opened = Workspace(tmp_path, CLASSES, (), 1, "waiting", None, rounds)
    assert miou_curve(opened) == (along, [0.4, 0.5], unit)
    dock.compare.show_rounds(opened)
    dock.compare.curve.resize(200, 110)
    assert not dock.compare.curve.grab().isNull()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (3, "about 1 min left"), (250, "about 4 min left"), (7530, "about 2 h 6 min left")],
)
def test_the_time_that_is_left_is_shown(dock, seconds, text):
    dock.train.show_time_left(seconds)
    assert dock.train.time_left.text() == text


def test_a_class_is_chosen_by_its_button(dock, tmp_path, qtbot):
    for _ in range(2):
        dock.show_workspace(workspace(tmp_path, 0.4))
    assert len(dock.answer.classes.findChildren(QPushButton)) == len(CLASSES)
    with qtbot.waitSignal(dock.answer.class_chosen) as signal:
        dock.answer.classes._buttons[3].click()
    assert signal.args == [3]
    dock.answer.classes.mark(0)
    assert [each.isChecked() for each in dock.answer.classes._buttons.values()] == [False, True]


def test_a_workspace_is_created_with_a_class_map_of_one_s_own(dock, qtbot, tmp_path):
    page = dock.start
    page.rasters.setFilePath(str(tmp_path / "tiles"))
    page.folder.setFilePath(str(tmp_path / "ws"))
    page.own_classes.setChecked(True)
    page.classes.add(NASTY, (1, 2, 3))
    page.budget.setText("0.2")
    page.further.setText("--steps 4 --set 'a.b=c d'")
    with qtbot.waitSignal(page.create_requested) as signal:
        page._create()
    folder, words = signal.args
    assert folder == str(tmp_path / "ws")
    assert words[:5] == ["train", "--raster", str(tmp_path / "tiles"), "--workspace", folder]
    classes = json.loads(words[6].partition("=")[2])
    assert classes[-1] == {"id": 2, "name": NASTY, "colour": [1, 2, 3]}
    assert words[7:] == ["--steps", "4", "--set", "a.b=c d", "--budget", "0.2"]


@pytest.mark.parametrize("further", ["--set 'a", None])
def test_a_form_that_cannot_be_used_shows_the_reason(dock, further, tmp_path):
    page = dock.start
    if further is not None:
        page.rasters.setFilePath(str(tmp_path))
        page.folder.setFilePath(str(tmp_path / "ws"))
        page.further.setText(further)
    requests = []
    page.create_requested.connect(lambda *values: requests.append(values))
    page._create()
    assert requests == []
    assert dock.message.text()
