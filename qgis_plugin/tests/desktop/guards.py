"""For scripts that drive the real desktop (`qgis --code`): steps, pictures, a verdict, and no way to hang.

A script defines ``walk(desktop)`` and ends with ``drive(walk)``; `run.py` starts it. Whatever would hang a
desktop without a window manager ends the run instead: an exception in a slot (QGIS would open a modal
dialog), any other modal dialog, a GUI thread that is stuck.
"""

import faulthandler
import json
import os
import sys
import time
import traceback
from pathlib import Path

from qgis.core import Qgis, QgsProject
from qgis.PyQt.QtCore import QEventLoop, QTimer
from qgis.PyQt.QtWidgets import QApplication, QLabel
from qgis.utils import iface, plugins

MODAL, WATCHDOG = 5, 9  # exit codes
_POLL_MS = 50


class Drive:
    """One walk through the desktop.

    Attributes:
        out: folder of the pictures and of ``verdict.json``.
        workspace: the workspace to open.
        engine: the command of the engine to use.
    """

    def __init__(self):
        self.out = Path(os.environ["TSFAL_E2E_OUT"])
        self.workspace = os.environ.get("TSFAL_E2E_WORKSPACE", "")
        self.engine = os.environ.get("TSFAL_E2E_ENGINE", "")
        self._begun = time.monotonic()
        self._shots = 0
        self._verdict = {"ok": False, "qgis": Qgis.QGIS_VERSION, "steps": [], "errors": [], "modals": []}

    def step(self, name, **facts):
        """Note that a step is done, with facts."""
        at = round(time.monotonic() - self._begun, 2)
        self._verdict["steps"].append({"step": name, "t": at, **facts})
        self.write()

    def shot(self, name):
        """Keep a picture of the main window, numbered in order."""
        self._shots += 1
        iface.mainWindow().grab().save(str(self.out / f"{self._shots:02d}_{name}.png"))

    def pump(self, ms):
        """Let QGIS work for a while."""
        loop = QEventLoop()
        QTimer.singleShot(ms, loop.quit)
        loop.exec()

    def until(self, condition, event, seconds=30):
        """Let QGIS work until the condition holds."""
        begun = time.monotonic()
        while not condition():
            if time.monotonic() - begun > seconds:
                raise TimeoutError(f"{event} did not happen within {seconds} s")
            self.pump(_POLL_MS)

    def render(self):
        """Draw the map and wait until it is drawn."""
        canvas = iface.mapCanvas()
        canvas.refresh()
        self.pump(_POLL_MS)
        self.until(lambda: not canvas.isDrawing(), "drawing the map")
        self.pump(150)

    def plugin(self):
        """The plugin's object; it was enabled by the profile."""
        return plugins["tsfal_qgis"]

    def write(self, **values):
        """Write ``verdict.json`` anew."""
        self._verdict.update(values)
        path = self.out / "verdict.json"
        path.write_text(json.dumps(self._verdict, indent=1, default=str), encoding="utf-8")

    def run(self, walk):
        """Walk, judge, and leave QGIS as a user does."""
        failed = True
        try:
            self._resize_window()
            walk(self)
            failed = False
        except Exception:
            self._verdict["errors"].append(traceback.format_exc())
            self.shot("failed")
        self.write(ok=not failed and not self._verdict["errors"] and not self._verdict["modals"])
        # Only actionExit closes the GeoPackages without a crash; nothing is left that it could ask about.
        for layer in QgsProject.instance().mapLayers().values():
            if getattr(layer, "isEditable", bool)():
                layer.rollBack()
        QgsProject.instance().clear()
        QgsProject.instance().setDirty(False)
        iface.actionExit().trigger()

    def guard(self, seconds):
        """Make a hang impossible: see the module's text."""
        faulthandler.enable()
        faulthandler.dump_traceback_later(seconds, exit=True)
        QTimer.singleShot(1000 * (seconds - 5), lambda: self._give_up(WATCHDOG, "errors", "took too long"))
        sys.excepthook = self._python_error
        self._watch = QTimer()
        self._watch.timeout.connect(self._check_for_modal)
        self._watch.start(1000)

    def _resize_window(self):
        window = iface.mainWindow()
        window.resize(1580, 980)
        window.activateWindow()
        self.pump(200)

    def _python_error(self, kind, value, trace):
        self._verdict["errors"].append("".join(traceback.format_exception(kind, value, trace)))
        self.write()

    def _check_for_modal(self):
        modal = QApplication.activeModalWidget()
        if modal is not None:
            texts = [modal.windowTitle(), *(label.text() for label in modal.findChildren(QLabel))]
            QApplication.primaryScreen().grabWindow(0).save(str(self.out / "modal.png"))
            self._give_up(MODAL, "modals", [type(modal).__name__, *texts])

    def _give_up(self, code, key, fault):
        self._verdict[key].append(fault)
        self.write(ok=False)
        os._exit(code)


def drive(walk, seconds=150):
    """Run ``walk(Drive())`` once QGIS is up; QGIS is ended after ``seconds``."""
    one = Drive()
    one.guard(seconds)
    QTimer.singleShot(500, lambda: one.run(walk))
    return one
