import importlib
import sys
import time
from pathlib import Path

import pytest
from PyQt6.QtCore import QCoreApplication
from PyQt6.QtWidgets import QAbstractButton, QMainWindow

import tsfal_qgis

FOLDER = Path(tsfal_qgis.__file__).parent
MODULES = sorted(
    ".".join(("tsfal_qgis", *path.relative_to(FOLDER).with_suffix("").parts))
    for path in FOLDER.rglob("*.py")
    if path.name != "__init__.py"
)
FAKE = [sys.executable, str(Path(__file__).parents[1] / "fake_engine.py")]


@pytest.mark.parametrize("name", MODULES)
def test_every_module_imports(name):
    importlib.import_module(name)


def wait(condition):
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        QCoreApplication.processEvents()
        time.sleep(0.01)


@pytest.mark.parametrize(("how", "code"), [("train", 0), ("mistake", 2), ("crash", -1), ("wait", 4)])
def test_the_engine_runs_as_a_process(how, code):
    from tsfal_qgis.engine.job import EngineJob

    job = EngineJob(command=FAKE)
    shares, ends = [], []
    job.progressed.connect(lambda share, stage: shares.append(share))
    job.ended.connect(lambda *values: ends.append(values))
    job.start([how])
    wait(lambda: shares)
    if how == "wait":
        job.cancel()
    wait(lambda: ends)
    assert ends[0][0] == code
    assert ends[0][1] == ({"round": 0, "status": "waiting"} if how == "train" else {})


def test_the_options_page_opens_tests_and_keeps():
    from tsfal_qgis.engine.engine import EngineConfig
    from tsfal_qgis.panel.options import TsfalOptionsPage

    page = TsfalOptionsPage()
    page.command.setCurrentText(" ".join(FAKE))
    page.test_button.click()
    assert "0.1.0" in page.answer.text()
    page.apply()
    assert EngineConfig().command() == FAKE


def test_the_dock_is_built_and_its_buttons_can_be_pressed():
    from tsfal_qgis.panel.dock import TsfalDock

    window = QMainWindow()
    dock = TsfalDock("anna", window)
    buttons = dock.findChildren(QAbstractButton)
    assert len(buttons) > 5
    dock.close()
