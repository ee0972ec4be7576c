"""Messages, the head and the keys: readable in each theme, in place, true, and gone with their cause."""

import json
from collections import Counter

import pytest
from qgis.core import QgsApplication
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QLabel,
    QLineEdit,
    QListWidget,
    QMainWindow,
    QPlainTextEdit,
    QScrollArea,
    QSpinBox,
    QTreeWidget,
)

from tsfal_qgis.answering.keys import Key, Keys
from tsfal_qgis.panel.dock import Step, TsfalDock
from tsfal_qgis.panel.message_line import Owner
from tsfal_qgis.panel.runs import EngineRuns
from tsfal_qgis.plugin import TsfalPlugin

LONG = "a file.tif: found 1 band, expected 3; make it a picture of three bands. " * 20
READABLE = 4.5  # WCAG 2.1, level AA


@pytest.fixture
def dock(qtbot):
    made = TsfalDock("anna")
    qtbot.addWidget(made)
    made.resize(375, 560)  # beside a map on a screen of 1280 x 720
    made.show()
    return made


@pytest.fixture(params=["default", *sorted(set(QgsApplication.uiThemes()) - {"default"})])
def theme(request):
    QgsApplication.setUITheme(request.param)
    yield request.param
    QgsApplication.setUITheme("default")


def luminance(colour):
    parts = [value / 255 for value in colour]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(widget):
    """The contrast of the drawn text: of the commonest colour with the one that differs most from it."""
    picture = widget.grab().toImage()
    pixels = Counter(
        picture.pixelColor(x, y).getRgb()[:3] for y in range(picture.height()) for x in range(picture.width())
    )
    ground = luminance(pixels.most_common(1)[0][0])
    return max((max(ground, other) + 0.05) / (min(ground, other) + 0.05) for other in map(luminance, pixels))


def test_head_and_messages_are_readable_in_each_theme(dock, theme):
    dock.show_message("A note of the panel, drawn in this theme.")
    assert contrast(dock.messages) >= READABLE, theme
    dock.show_problem("A problem of the panel, drawn in this theme.")
    assert contrast(dock.messages) >= READABLE, theme
    dock.budget.show()
    for value in (0, 1000):
        dock.budget.setValue(value)
        assert contrast(dock.budget) >= READABLE, (theme, value)
    dock.title.setText("round 1")
    ordinary = QLabel("round 1", dock)
    ordinary.resize(dock.title.size())
    ordinary.show()
    assert contrast(dock.title) >= contrast(ordinary) - 0.1, theme  # a theme's own text is what it is


def places(dock):
    dock.layout().activate()
    widgets = [dock.title, dock.budget, dock.next_step, *dock._steps, dock.messages]
    return [(each.mapTo(dock, each.rect().topLeft()), each.size()) for each in widgets]


@pytest.mark.parametrize("change", ["message", "problem", "head", "page"])
def test_nothing_moves_under_the_pointer(dock, qtbot, change):
    qtbot.waitExposed(dock)
    before = places(dock)
    if change == "message":
        dock.show_message(LONG)
    elif change == "problem":
        dock.show_problem(LONG)
    elif change == "head":
        for label in (dock.title, dock.counts, dock.history, dock.next_step):
            label.setText(LONG)
            label.show()
        dock.budget.show()
    else:
        dock.answer.query_text.setText(LONG)
        dock.go_to(Step.ANSWER)
    qtbot.wait(20)
    assert places(dock) == before
    assert dock.messages.geometry().bottom() <= dock.height()


def test_a_short_page_does_not_scroll(dock, qtbot):
    bar = dock.findChild(QScrollArea, "page").verticalScrollBar()
    dock.go_to(Step.LAYERS)
    qtbot.waitUntil(lambda: bar.maximum() == 0)
    dock.start.own_classes.setChecked(True)
    dock.resize(375, 400)
    dock.go_to(Step.START)
    qtbot.waitUntil(lambda: bar.maximum() > 0)


def test_a_message_ends_with_its_cause_and_an_older_one_that_holds_returns(dock):
    dock.show_problem("in use", Owner.WORKSPACE)
    dock.show_message("answered", Owner.ANSWER)
    assert dock.message.text() == "answered"
    dock.show_message("", Owner.ANSWER)
    assert dock.message.text() == "in use"
    assert "bold" in dock.message.styleSheet()
    dock.show_problem("a run failed", Owner.RUN)
    dock.close_workspace()
    assert dock.message.text() == "a run failed"
    dock.messages.end(Owner.RUN)
    assert (dock.message.text(), dock.message.styleSheet()) == ("", "")


def log():
    made = QPlainTextEdit()
    made.setReadOnly(True)
    return made


def editable():
    made = QComboBox()
    made.setEditable(True)
    return made


class Iface:
    """What the keys need of QGIS."""

    def __init__(self):
        self.window = QMainWindow()

    def mainWindow(self):
        return self.window

    def registerMainWindowAction(self, action, key):
        action.setShortcut(key)

    def unregisterMainWindowAction(self, action):
        pass


@pytest.mark.parametrize(
    ("make", "rest"),
    [
        (QLineEdit, True),
        (QPlainTextEdit, True),
        (QSpinBox, True),
        (editable, True),
        (QTreeWidget, False),
        (QListWidget, False),
        (QComboBox, False),
        (log, False),
    ],
)
def test_keys_rest_only_while_a_text_field_has_the_keyboard(qtbot, make, rest):
    iface = Iface()
    qtbot.addWidget(iface.window)
    keys = Keys(iface, [Key("accept", "Accept", "Return", lambda: None)])
    keys.switch(True)
    widget = make()
    keys._focus_moved(None, widget)
    assert keys.actions["accept"].isEnabled() is not rest
    keys.remove()


class Runs(EngineRuns):
    """Runs that the test ends."""

    def start(self, arguments, done, cwd=None, stopped=lambda code: None):
        self.started, self.done, self.stopped = arguments, done, stopped
        return True


@pytest.fixture
def plugin(dock):
    made = TsfalPlugin(None)
    made.dock, made.runs = dock, Runs(dock)
    made.answering = type("Answering", (), {"session": None})()
    return made


@pytest.mark.parametrize("begun", [False, True])
def test_training_goes_on_after_a_creation_was_stopped(plugin, tmp_path, begun):
    folder, words = str(tmp_path / "town"), ["train", "--raster", "tiles"]
    plugin.create_workspace(folder, words)
    assert "Creating town" in plugin.dock.title.text()
    assert "open or create" not in plugin.dock.next_step.text()
    if begun:
        (tmp_path / "town").mkdir()
        (tmp_path / "town" / "workspace.json").write_text(json.dumps({"schema": 1}))
    plugin.runs.stopped(4)
    assert "not complete" in plugin.dock.title.text()
    assert "train" in plugin.dock.next_step.text()
    plugin.train()
    assert plugin.runs.started == (["train", "--workspace", folder] if begun else words)
    assert "Creating town" in plugin.dock.title.text()


def test_a_creation_that_was_refused_leads_back_to_its_form(plugin, tmp_path):
    plugin.create_workspace(str(tmp_path / "town"), ["train"])
    plugin.runs.stopped(2)
    assert plugin.dock.step == Step.START
    assert "open or create" in plugin.dock.next_step.text()
    plugin.runs.started = None
    plugin.train()
    assert plugin.runs.started is None
