"""The store beside a real QGIS that has an open edit session on an annotator's file."""

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.labels.conftest import CLASSES, make_label, make_query
from tsfal_geo.labels.opening import open_store

PYTHON = "/usr/bin/python3"
CORNER = (497_000.01, 5_419_000.07)


def clean_environment(home):
    foreign = ("PYTHON", "PROJ", "GDAL", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    return environment | {
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home),
        "QT_QPA_PLATFORM": "offscreen",
        "PATH": "/usr/bin:/bin",
        "TZ": "Asia/Tokyo",
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    folder.chmod(0o700)
    check = [PYTHON, "-c", "import qgis.core"]
    if (
        not Path(PYTHON).exists()
        or subprocess.run(check, env=clean_environment(folder), capture_output=True, check=False).returncode
    ):
        pytest.skip("NOT COVERED: a real QGIS; apt-get install qgis python3-qgis")
    return folder


@pytest.fixture
def store(tmp_path, town):
    store = open_store(tmp_path / "ws", CLASSES, [town])
    store.write_queries(0, [make_query(town, f"q{n}", rank=n) for n in range(1, 4)])
    return store


class Session:
    """An annotator in a QGIS process, who obeys commands."""

    def __init__(self, path, queries, home):
        script = Path(__file__).parents[1] / "helpers" / "qgis_session.py"
        self.process = subprocess.Popen(
            [PYTHON, script, path, queries],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=clean_environment(home),
        )
        self.start = self.receive()

    def receive(self):
        line = self.process.stdout.readline()
        assert line, f"QGIS ended with {self.process.wait()}"
        return json.loads(line)

    def send(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.receive()


@pytest.fixture
def session(store, home):
    opened = Session(store.author_store("anna"), store.round_dir(0) / "queries.gpkg", home)
    yield opened
    opened.process.kill()
    opened.process.wait()


def test_the_file_brings_its_style_its_pick_list_and_its_defaults(session):
    found = session.start
    expected = [[info.name, info.id] for info in CLASSES.classes]
    assert found["valid"]
    assert found["editing"]
    assert found["crs"] == "EPSG:25832"
    assert found["categories"] == expected
    assert (found["widget"], found["picks"]) == ("ValueMap", expected)
    assert (found["suggested"], found["queries"], found["author"]) == ("suggested", 3, "'anna'")


def test_saved_rows_are_read_while_the_edit_session_stays_open(store, session):
    x, y = CORNER
    assert store.author_store("anna").with_name("anna.gpkg-wal").exists()
    assert session.send(f"add {x} {y - 0.9}")["added"]
    assert store.snapshot().labels == ()
    answer = session.send("save")
    assert (answer["saved"], answer["editing"]) == (True, True)
    session.send(f"add {x + 2} {y - 0.9}")
    found = store.snapshot()
    assert len(found.labels) == 1
    assert not found.rejected
    assert (found.labels[0].author, found.labels[0].source) == ("anna", "drawn")
    assert abs((found.labels[0].created - datetime.now(UTC)).total_seconds()) < 60
    assert session.send("save")["saved"]
    assert len(store.snapshot().labels) == 2
    assert session.send("quit")["bye"]
    assert len(store.snapshot().labels) == 2


def test_rows_saved_by_a_qgis_that_was_killed_are_read(store, session):
    x, y = CORNER
    session.send(f"add {x} {y - 0.9}")
    session.send("save")
    session.send(f"add {x + 2} {y - 0.9}")
    session.process.kill()
    session.process.wait()
    assert len(store.snapshot().labels) == 1


def test_a_polygon_without_class_is_refused_by_the_file_when_qgis_saves_it(store, session):
    x, y = CORNER
    session.send(f"add {x} {y - 0.9} nan")
    assert session.send("save")["saved"] is False
    assert store.snapshot().labels == ()


def test_an_import_beside_an_edit_session_disturbs_neither(store, session, town):
    x, y = CORNER
    session.send(f"add {x} {y - 0.9}")
    store.add_import("survey", [make_label(town, 30, 30)])
    store.add("ben", [make_label(town, 40, 40)])
    assert session.send("save")["saved"]
    assert len(store.snapshot().labels) == 3
