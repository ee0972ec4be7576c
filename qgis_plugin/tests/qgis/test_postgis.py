"""The team's store: the same answers, as rows of tables."""

import uuid

import pytest
from conftest import Annotator, engine
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsException,
    QgsProject,
    QgsProviderRegistry,
)

from tsfal_qgis.answering.session import Session
from tsfal_qgis.store.workspace import Workspace

SERVER = "postgresql:///tsfal_test?host=/var/run/postgresql&port=54330"  # scripts/postgis.sh starts it


@pytest.fixture
def team(tmp_path, qgis_new_project):
    QgsProject.instance().setCrs(QgsCoordinateReferenceSystem("EPSG:25832"))
    schema = f"plugin_{uuid.uuid4().hex[:8]}"
    uri = "dbname='tsfal_test' host=/var/run/postgresql port=54330"
    connection = QgsProviderRegistry.instance().providerMetadata("postgres").createConnection(uri, {})
    try:
        connection.executeSql("SELECT 1")
    except QgsException:
        pytest.skip("NOT COVERED: the plugin on PostGIS; run scripts/postgis.sh as root on Debian")
    folder = tmp_path / "ws"
    store = f"{SERVER}&schema={schema}"
    assert engine("make", folder, store).wait() == 0
    yield folder
    connection.executeSql(f'DROP SCHEMA "{schema}" CASCADE')


def test_a_team_answers_into_the_tables(team, canvas, engine_view, qtbot):
    workspace = Workspace.read(team)
    session = Session(workspace, "anna", None, canvas)
    ben = Annotator(team, "ben")
    try:
        session.next()
        session.answer(3)
        session.undo()
        session.redo()
        assert ben.send("refresh")["rank"] is None
        assert ben.send("next")["rank"] == 2
        ben.send("answer 7")
        qtbot.waitUntil(lambda: session.queue.counts()["done"] == 2, timeout=10_000)
        assert session.current.rank == 1
        session.next()
        assert session.current.rank == 3
        session.unsure()
    finally:
        ben.process.kill()
        ben.process.wait()
        session.close()
    found = engine_view(team)
    assert sorted(label[1:] for label in found["labels"]) == [[3, "anna", "filled"], [7, "ben", "filled"]]
    assert sorted(decision[1:] for decision in found["decisions"]) == [
        ["done", "anna"],
        ["done", "ben"],
        ["unsure", "anna"],
    ]
    assert not found["rejected"]
