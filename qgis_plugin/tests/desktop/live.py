"""Answers with a live session in the real desktop: seconds from a key to the new map on the screen.

The workspace given to the run was made by ``--method instant``. The answers are the classes of the label
rasters beside its scenes, so that the map becomes a good one.
"""

import time
from pathlib import Path

from guards import drive
from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QLineEdit
from qgis.utils import iface

ANSWERS = 40
SIDE = 1024


def walk(desktop):
    plugin, window, canvas = desktop.plugin(), iface.mainWindow(), iface.mapCanvas()
    window.findChild(QLineEdit, "author").setText("anna")
    begun = time.monotonic()
    plugin.open_workspace(desktop.workspace)
    desktop.until(lambda: plugin.following is not None and plugin.following.engine.running, "the start")
    told = []
    plugin.following.engine.told.connect(lambda kind, values: told.append((kind, values)))
    desktop.until(lambda: any(kind == "state" for kind, _ in told), "the first state", 60)
    desktop.step("session ready", seconds=round(time.monotonic() - begun, 2))
    classes = plugin.session.workspace.classes
    names = {info.id: number for number, info in enumerate(classes, 1)}
    plugin.live.map.click()
    QTest.keyClick(canvas, Qt.Key.Key_N)
    desktop.pump(500)
    # A view of 1024 × 1024 pixels that stays: what is measured is the answer, not the way to the query.
    scene = plugin.session.scene
    plugin.session.layers._highlight.show = lambda *_arguments: None
    box = canvas.extent()
    size = abs(scene.transform[0]) * SIDE
    left, top = scene.corner(0, 0)
    box.set(left, top - size, left + size, top)
    canvas.setExtent(box)
    desktop.render()
    seconds, files, drawn = [], [], []
    canvas.mapCanvasRefreshed.connect(lambda: drawn.append(time.monotonic()))
    for number in range(ANSWERS):
        query = plugin.session.current
        if query is None:
            break
        key = names[truth(plugin, query)]
        before = live_files()
        pressed = time.monotonic()
        QTest.keyClick(canvas, Qt.Key.Key_0 + key)
        desktop.until(lambda before=before: live_files() != before, "a new map", 60)
        changed = time.monotonic()
        desktop.until(lambda changed=changed: any(at > changed for at in drawn), "the drawing", 60)
        # The first answer of all has nothing to go on from.
        if number:
            seconds.append(min(at for at in drawn if at > changed) - pressed)
            files.append(changed - pressed)
    desktop.shot("live")
    seconds.sort()
    files.sort()
    desktop.step(
        "answered",
        answers=len(seconds),
        median=round(seconds[len(seconds) // 2], 3),
        p95=round(seconds[int(0.95 * len(seconds))], 3),
        file_median=round(files[len(files) // 2], 3),
        line=plugin.live.text.text(),
    )
    desktop.until(lambda: "accuracy" in plugin.live.text.text(), "an accuracy", 60)
    desktop.shot("accuracy")
    plugin.close_workspace()
    assert plugin.following is None


def live_files():
    """The files that the live map shows."""
    layers = QgsProject.instance().mapLayers().values()
    return {each.source() for each in layers if "/live/" in each.source()}


def truth(plugin, query):
    """The class that the label raster has in the middle of a query."""
    region = plugin.session.layers.queries.region(query)
    point = region.geometry.pointOnSurface().asPoint()
    scene = next(each for each in plugin.session.workspace.scenes if each.name == query.scene)
    path = Path(scene.path).parents[1] / "labels" / Path(scene.path).name
    layer = QgsRasterLayer(str(path), "truth", "gdal")
    value, found = layer.dataProvider().sample(point, 1)
    known = {info.id for info in plugin.session.workspace.classes}
    return int(value) if found and int(value) in known else min(known)


drive(walk, 280)
