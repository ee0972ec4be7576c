"""Workspaces made by the engine itself, copied for each test."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from qgis.core import QgsCoordinateReferenceSystem, QgsProject
from qgis.gui import QgsMapCanvas

from tsfal_qgis.answering.session import Session
from tsfal_qgis.store.workspace import Workspace

TESTS = Path(__file__).parents[1]
ENGINE_PYTHON = os.environ.get("TSFAL_ENGINE_PYTHON", str(TESTS.parents[1] / ".venv" / "bin" / "python"))


def engine(*words):
    """A process of the engine's Python."""
    foreign = ("PYTHON", "PROJ", "GDAL", "QGIS", "QT_")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    pipe = subprocess.PIPE
    command = [ENGINE_PYTHON, str(TESTS / "make_workspace.py"), *map(str, words)]
    return subprocess.Popen(
        command, env=environment, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
    )


@pytest.fixture(scope="session")
def reader():
    process = engine("read")
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def engine_view(reader):
    """The contents of a workspace as the engine reads them."""

    def engine_view(folder):
        reader.stdin.write(f"{folder}\n")
        reader.stdin.flush()
        return json.loads(reader.stdout.readline())

    return engine_view


def go_to_round(folder, number):
    """Change the file that the engine writes last when a round is complete."""
    path = folder / "workspace.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "round": number}))


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "ws"
    assert engine("make", folder).wait() == 0
    return folder


@pytest.fixture
def folder(made, tmp_path, qgis_new_project):
    QgsProject.instance().setCrs(QgsCoordinateReferenceSystem("EPSG:25832"))
    shutil.copytree(made.parent / "ws-data", tmp_path / "ws-data")
    return Path(shutil.copytree(made, tmp_path / "ws"))


@pytest.fixture(scope="session")
def made_pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures") / "ws"
    assert engine("pictures", folder).wait() == 0
    return folder


@pytest.fixture
def canvas():
    made = QgsMapCanvas()
    made.resize(600, 400)
    made.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:25832"))
    return made


@pytest.fixture
def begin(folder, canvas):
    """Opens a session after closing the one before, as the plugin does."""
    opened = []

    def close():
        while opened:
            opened.pop().close()

    def begin(author="anna"):
        close()
        workspace = Workspace.read(folder)
        made = Session(workspace, author, workspace.plain_label_file(author), canvas)
        made.messages = []
        made.message.connect(made.messages.append)
        made.problem.connect(made.messages.append)
        opened.append(made)
        return made

    begin.close = close
    yield begin
    close()


class Annotator:
    """An annotator in a QGIS process, which obeys commands."""

    def __init__(self, folder, author):
        words = [sys.executable, str(Path(__file__).with_name("annotator.py")), str(folder), author]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
        self._receive()

    def send(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self._receive()

    def _receive(self):
        line = self.process.stdout.readline()
        assert line, f"QGIS ended with {self.process.wait()}"
        return json.loads(line)


@pytest.fixture
def annotator(folder):
    opened = []

    def begin(author):
        opened.append(Annotator(folder, author))
        return opened[-1]

    yield begin
    for each in opened:
        each.process.kill()
        each.process.wait()


@pytest.fixture
def session(begin):
    return begin()
