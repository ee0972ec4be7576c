"""The analyst's walk in the real desktop: create, open, answer, draw, paint, train, compare, export.

The workspace given to the run is the folder of rasters; the workspace of the walk is made beside it.
"""

import json
import os
import socket
import time
from pathlib import Path

from guards import drive
from qgis.core import QgsApplication, QgsProject
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QAbstractButton, QLineEdit
from qgis.utils import iface, loadPlugin, startPlugin, unloadPlugin

BY_KEYBOARD = 6
TINY = (
    "--labelled 0.25 --steps 2 --rounds 2 --budget 0.6 --set model.weights=null "
    "--set model.encoder=tu-mobilenetv2_035 --set model.decoder_convs=1 --set data.chip_size=64 "
    "--set train.num_workers=0 --set train.accelerator=cpu --set train.precision=32-true "
    "--set tsf.warmup_steps=0 --set active.min_region=64 --set active.max_region=900"
)
LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
NONE = Qt.KeyboardModifier.NoModifier


class User:
    """The keys and clicks of a user."""

    def __init__(self, desktop):
        self.desktop = desktop
        self.canvas = iface.mapCanvas()

    def key(self, key, modifier=NONE):
        QTest.keyClick(self.canvas, key, modifier)
        self.desktop.pump(10)

    def press(self, name):
        button = iface.mainWindow().findChild(QAbstractButton, name)
        assert button is not None and button.isEnabled() and button.isVisible(), name
        QTest.mouseClick(button, LEFT)
        self.desktop.pump(30)

    def click(self, x, y, button=LEFT):
        viewport = self.canvas.viewport()
        QTest.mouseMove(viewport, QPoint(x, y))
        self.desktop.pump(20)
        QTest.mouseClick(viewport, button, NONE, QPoint(x, y))
        self.desktop.pump(40)

    def drag(self, points):
        viewport = self.canvas.viewport()
        QTest.mousePress(viewport, LEFT, NONE, QPoint(*points[0]))
        for x, y in points:
            QTest.mouseMove(viewport, QPoint(x, y))
            self.desktop.pump(10)
        QTest.mouseRelease(viewport, LEFT, NONE, QPoint(*points[-1]))
        self.desktop.pump(40)


def labels(plugin):
    return [
        (feature["source"], feature["class_id"], feature["qid"])
        for layer in plugin.session.store.labels
        for feature in layer.getFeatures()
    ]


def walk(desktop):
    user, plugin = User(desktop), desktop.plugin()
    desktop.shot("start")

    workspace = Path(desktop.workspace).with_name("town")
    broken_workspaces(desktop, user, plugin, workspace.parent)
    create_workspace(desktop, user, plugin, workspace)
    plugin.close_workspace()
    open_workspace(desktop, user, plugin, workspace)
    by_keyboard(desktop, user, plugin)
    by_mouse(desktop, user, plugin)
    hidden_while_held(desktop, user, plugin)
    next_round(desktop, user, plugin)
    export(desktop, user, plugin)

    leave(desktop, user, plugin, workspace)


def broken_workspaces(desktop, user, plugin, folder):
    message = plugin.dock.message
    for name, text, words in (
        ("none", None, "not a workspace"),
        ("newer", '{"schema": 99}', "Upgrade the plugin"),
        ("damaged", '{"schema": 1, "round"', "cannot be read"),
    ):
        (folder / name).mkdir()
        if text is not None:
            (folder / name / "workspace.json").write_text(text)
        plugin.dock.start.folder.setFilePath(str(folder / name))
        user.press("open_workspace")
        assert plugin.session is None
        assert words in message.text(), message.text()
    desktop.shot("problem")
    desktop.step("problems shown")


def create_workspace(desktop, user, plugin, workspace):
    iface.mainWindow().findChild(QLineEdit, "author").setText("anna")
    iface.mainWindow().findChild(QLineEdit, "further_options").setText(TINY)
    plugin.dock.start.rasters.setFilePath(desktop.workspace)
    plugin.dock.start.folder.setFilePath(str(workspace))
    user.press("create_workspace")
    assert plugin.runs.running, plugin.dock.message.text()
    desktop.until(
        lambda: plugin.session is not None or not plugin.runs.running, "creating the workspace", 120
    )
    desktop.until(lambda: plugin.session is not None, plugin.dock.message.text(), 10)
    assert (workspace / "labels" / "anna.gpkg").is_file()
    desktop.step("created")


def open_workspace(desktop, user, plugin, workspace):
    plugin.dock.start.folder.setFilePath(str(workspace))
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "user": "ben", "since": "now"}
    (workspace / ".lock.json").write_text(json.dumps(holder))
    user.press("open_workspace")
    assert plugin.session is not None, plugin.dock.message.text()
    assert f"process {os.getpid()} of ben" in plugin.dock.message.text()
    (workspace / ".lock.json").unlink()
    desktop.render()
    desktop.step("opened", layers=[layer.name() for layer in QgsProject.instance().mapLayers().values()])
    desktop.shot("opened")


def by_keyboard(desktop, user, plugin):
    session = plugin.session
    iface.mainWindow().activateWindow()
    user.canvas.setFocus()
    user.key(Qt.Key.Key_N)
    assert session.current is not None and session.current.rank == 1
    desktop.render()
    desktop.shot("first_query")
    begun = time.monotonic()
    for number in range(BY_KEYBOARD):
        before = session.current.qid
        user.key(Qt.Key.Key_Return if number % 2 else Qt.Key.Key_2)
        desktop.until(lambda before=before: session.current.qid != before, "the next query", 5)
        desktop.render()
    seconds = time.monotonic() - begun
    counts = session.queue.counts()
    assert counts["done"] == BY_KEYBOARD, counts
    assert [source for source, *_ in labels(plugin)] == ["filled", "accepted"] * (BY_KEYBOARD // 2)
    desktop.step("answered by keyboard", queries_a_minute=round(60 * BY_KEYBOARD / seconds, 1))
    assert 60 * BY_KEYBOARD / seconds >= 20
    user.key(Qt.Key.Key_X)
    user.key(Qt.Key.Key_U)
    user.key(Qt.Key.Key_P)
    assert session.queue.status(session.current.qid) == "unsure"
    user.key(Qt.Key.Key_O)
    assert session.queue.counts()["unsure"] == 0
    assert session.queue.counts()["skipped"] == 1
    desktop.render()
    desktop.shot("reopened")


def by_mouse(desktop, user, plugin):
    session = plugin.session
    width, height = user.canvas.width() // 2, user.canvas.height() // 2

    def count(source):
        # What is drawn takes away labels that it covers entirely, so that only its own kind tells.
        return sum(label[0] == source for label in labels(plugin))

    drawn_before, brushed_before = count("drawn"), count("brushed")
    user.key(Qt.Key.Key_D)
    user.key(Qt.Key.Key_4)
    corners = [
        (width - 90, height - 80),
        (width + 80, height - 70),
        (width + 60, height + 70),
        (width - 70, height + 60),
    ]
    for x, y in corners:
        user.click(x, y)
    desktop.shot("digitising")
    user.click(*corners[-1], RIGHT)
    drawn = labels(plugin)
    assert count("drawn") == drawn_before + 1
    assert drawn[-1] == ("drawn", session.workspace.classes[3].id, session.current.qid), drawn[-1]
    user.key(Qt.Key.Key_B)
    user.key(Qt.Key.Key_5)
    for _ in range(4):
        user.key(Qt.Key.Key_BracketRight)
    assert plugin.answering.tools.brush.size == 9
    user.drag([(width - 60 + 6 * step, height - 20 + (step % 5) * 5) for step in range(20)])
    painted = labels(plugin)
    assert count("brushed") == brushed_before + 1
    assert painted[-1][:2] == ("brushed", session.workspace.classes[4].id)
    desktop.render()
    desktop.shot("painted")
    user.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert count("brushed") == brushed_before
    user.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert count("brushed") == brushed_before + 1
    query = session.current
    user.key(Qt.Key.Key_Return)
    assert session.queue.status(query.qid) == "done"
    user.key(Qt.Key.Key_B)
    assert not plugin.answering.tools.drawing
    desktop.render()
    desktop.step("drawn and painted", labels=len(painted))


def hidden_while_held(desktop, user, plugin):
    group = plugin.session.layers.group.findGroup("Queries")
    QTest.keyPress(user.canvas, Qt.Key.Key_H)
    desktop.pump(50)
    assert not group.itemVisibilityChecked()
    desktop.render()
    desktop.shot("overlays_hidden")
    QTest.keyRelease(user.canvas, Qt.Key.Key_H)
    desktop.pump(50)
    assert group.itemVisibilityChecked()


def next_round(desktop, user, plugin):
    session, dock = plugin.session, plugin.dock
    view = user.canvas.extent()
    sources = {layer.id(): layer.source() for layer in QgsProject.instance().mapLayers().values()}
    user.press("step_3")
    user.press("train")
    desktop.until(lambda: dock.train.bar.value() > 0, "progress", 60)
    desktop.shot("training")
    done = session.queue.counts()["done"]
    user.canvas.setFocus()
    user.key(Qt.Key.Key_N)
    user.key(Qt.Key.Key_2)
    assert session.queue.counts()["done"] == done + 1, "labelling goes on while the engine trains"
    desktop.until(lambda: not plugin.runs.running, "the next round", 120)
    assert session.workspace.round == 1, dock.message.text()
    moved = [
        layer.id()
        for layer in QgsProject.instance().mapLayers().values()
        if layer.id() in sources and layer.source() != sources[layer.id()]
    ]
    assert len(moved) >= 9, "the layers stay, their sources move"
    assert session.store.labels[0].isEditable()
    desktop.render()
    desktop.step("next round", queries=len(session.queue), moved=len(moved), view=str(view.center()))
    session.layers.zoom_to_all()
    session.layers.show_prediction(1)
    desktop.render()
    desktop.shot("compare")
    user.press("show_earlier")
    desktop.render()
    desktop.shot("compare_earlier")
    user.press("show_earlier")


def export(desktop, user, plugin):
    user.press("step_5")
    user.press("export")
    desktop.until(lambda: not plugin.runs.running, "the export", 90)
    maps = plugin.session.layers.group.findGroup("Maps")
    assert maps is not None and len(maps.findLayers()) == len(plugin.session.workspace.scenes)
    desktop.render()
    desktop.shot("exported")
    desktop.step("exported")


def leave(desktop, user, plugin, workspace):
    QgsProject.instance().clear()
    assert plugin.session is None and plugin.dock.step == 0, "a new project closes the workspace"
    open_workspace(desktop, user, plugin, workspace)
    before = {action.objectName() for action in iface.mainWindow().actions()}
    assert "tsfal_next" in before
    assert unloadPlugin("tsfal_qgis")
    desktop.pump(50)
    assert not QgsProject.instance().mapLayers()
    assert not [action for action in iface.mainWindow().actions() if action.objectName().startswith("tsfal")]
    assert QgsApplication.processingRegistry().providerById("tsfal") is None
    assert loadPlugin("tsfal_qgis") and startPlugin("tsfal_qgis")
    open_workspace(desktop, user, desktop.plugin(), workspace)
    desktop.plugin().close_workspace()
    assert not QgsProject.instance().mapLayers()
    desktop.step("left")


_keep = drive(walk, 270)
