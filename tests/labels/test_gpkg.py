"""The files themselves, with other programs reading and writing them at the same time."""

import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import time
import warnings
import xml.etree.ElementTree as ET
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import geopandas
import numpy as np
import pyogrio
import pytest

from tests.labels.conftest import CLASSES, make_label, make_query, make_scene, square
from tsfal_geo.errors import WorkspaceError
from tsfal_geo.geopackage import connection as gpkg_file
from tsfal_geo.geopackage.geometry import register_functions
from tsfal_geo.geopackage.layers import insert as append_rows
from tsfal_geo.labels.model import Decision
from tsfal_geo.labels.opening import open_store

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def store(tmp_path, town):
    return open_store(tmp_path / "ws", CLASSES, [town])


@pytest.fixture
def other_process():
    """Starts a function in a process of its own, waits for its word, and ends it afterwards."""
    started = []

    def start(function, *arguments):
        here, there = FORK.Pipe()
        process = FORK.Process(target=function, args=(there, *arguments), daemon=True)
        process.start()
        there.close()
        assert here.poll(30)
        here.recv()
        started.append(process)
        return here, process

    yield start
    for process in started:
        process.kill()
        process.join()


def sqlite(path):
    connection = sqlite3.connect(path, isolation_level=None)
    register_functions(connection)
    return connection


def insert(connection, scene, count, start=0):
    append_rows(
        connection,
        "labels",
        np.array([square(scene, n % 40, 0, 5) for n in range(start, start + count)], dtype=object),
        ["class_id", "scene"],
        [[3, scene.name]] * count,
    )


def commit_in_wal_then_hold_a_transaction(pipe, path, scene):
    connection = sqlite(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("BEGIN")
    insert(connection, scene, 7)
    connection.execute("COMMIT")
    connection.execute("BEGIN IMMEDIATE")
    insert(connection, scene, 5)
    pipe.send("holding")
    pipe.recv()


def hold(pipe, path, scene, kind, seconds):
    connection = sqlite(path)
    connection.execute(f"BEGIN {kind}")
    insert(connection, scene, 5)
    pipe.send("holding")
    time.sleep(seconds)
    connection.execute("COMMIT")
    pipe.send("committed")
    time.sleep(60)


def spill_half_a_transaction(pipe, path, scene):
    connection = sqlite(path)
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("BEGIN IMMEDIATE")
    insert(connection, scene, 500)
    pipe.send("half way")
    time.sleep(60)


def test_committed_rows_in_the_write_ahead_log_are_read_beside_an_open_transaction(
    store, town, other_process
):
    store.add("anna", [make_label(town, 0, 0)])
    path = store.author_store("anna")
    other_process(commit_in_wal_then_hold_a_transaction, path, town)
    assert path.with_name("anna.gpkg-wal").stat().st_size > 0
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as blind:
        assert blind.execute("SELECT count(*) FROM labels").fetchone() == (1,)
    assert len(store.snapshot().labels) == 8


def test_rows_of_a_program_that_died_in_wal_mode_are_read(store, town, other_process):
    path = store.author_store("anna")
    _, process = other_process(commit_in_wal_then_hold_a_transaction, path, town)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert len(store.snapshot().labels) == 7


def test_an_uncommitted_write_neither_stops_a_read_nor_shows_in_it(store, town, other_process):
    store.add("anna", [make_label(town, 0, 0)])
    pipe, _ = other_process(hold, store.author_store("anna"), town, "IMMEDIATE", 2.0)
    began = time.monotonic()
    assert len(store.snapshot().labels) == 1
    assert not pipe.poll(0), f"the read waited for the writer ({time.monotonic() - began:.1f} s)"
    assert pipe.poll(30)
    pipe.recv()
    assert len(store.snapshot().labels) == 6


def test_a_read_waits_for_an_exclusive_lock(store, town, other_process):
    store.add("anna", [make_label(town, 0, 0)])
    other_process(hold, store.author_store("anna"), town, "EXCLUSIVE", 0.7)
    assert len(store.snapshot().labels) == 6


def test_a_lock_that_is_never_released_is_reported_with_the_files_name(
    store, town, other_process, monkeypatch
):
    other_process(hold, store.author_store("anna"), town, "EXCLUSIVE", 30)
    monkeypatch.setattr(gpkg_file, "LOCK_WAIT", 0.2)
    with pytest.raises(WorkspaceError, match=r"anna\.gpkg.*locked"):
        store.snapshot()


def test_half_a_commit_of_a_dead_program_is_rolled_back(store, town, other_process):
    store.add("anna", [make_label(town, 0, 0)])
    path = store.author_store("anna")
    _, process = other_process(spill_half_a_transaction, path, town)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert path.with_name("anna.gpkg-journal").stat().st_size > 0
    assert len(store.snapshot().labels) == 1


def test_every_row_is_read_when_ogrs_count_of_them_is_wrong(store, town):
    store.add("anna", [make_label(town, 0, n, 5) for n in range(22)])
    path = store.author_store("anna")
    with closing(sqlite(path)) as connection:
        connection.execute("UPDATE gpkg_ogr_contents SET feature_count = 19 WHERE table_name = 'labels'")
    assert len(pyogrio.read_dataframe(path, layer="labels")) == 19  # the trap
    assert len(store.snapshot().labels) == 22


def test_a_script_appends_with_geopandas(store, town):
    path = store.author_store("anna")
    frame = geopandas.GeoDataFrame(
        {"class_id": [3, 7], "scene": ["town", None], "qid": ["q1", None]},
        geometry=[square(town, 0, 0), square(town, 20, 20)],
        crs="EPSG:25832",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame.to_file(path, layer="labels", mode="a")
    found = store.snapshot()
    assert [(label.class_id, label.qid, label.author, label.source) for label in found.labels] == [
        (3, "q1", "anna", "drawn"),
        (7, None, "anna", "drawn"),
    ]
    assert not found.rejected
    assert all(abs((label.created - datetime.now(UTC)).total_seconds()) < 60 for label in found.labels)


def test_other_programs_read_what_the_store_writes(store, town):
    labels = [make_label(town, 0, 0, class_id=7, qid="q1"), make_label(town, 20, 20)]
    store.add("anna", labels, [Decision("q1", 0, "done")])
    path = store.author_store("anna")
    frame = geopandas.read_file(path, layer="labels", where="1=1")
    assert frame.crs.to_epsg() == 25832
    assert frame["class_id"].tolist() == [7, 3]
    assert frame.geometry.geom_equals(
        geopandas.GeoSeries([label.geometry for label in labels], crs=25832)
    ).all()
    box = tuple(labels[1].geometry.bounds)
    assert geopandas.read_file(path, layer="labels", bbox=box)["class_id"].tolist() == [3]
    assert pyogrio.read_dataframe(path, layer="decisions")["status"].tolist() == ["done"]
    layers = {name for name, _ in pyogrio.list_layers(path)}
    assert layers == {"labels", "decisions", "layer_styles"}
    with closing(sqlite(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (10300,)
        assert connection.execute("PRAGMA application_id").fetchone() == (0x47504B47,)


def test_a_missing_class_is_refused_by_the_file_itself(store, town):
    path = store.author_store("anna")
    with closing(sqlite(path)) as connection, pytest.raises(sqlite3.IntegrityError, match="class_id"):
        connection.execute("INSERT INTO labels (geom, scene) VALUES (zeroblob(8), 'town')")


def test_styles_and_pick_lists_hold_the_names_as_they_are(store, town):
    store.write_queries(0, [make_query(town, "q1")])
    for path, layer, field, others in (
        (store.author_store("anna"), "labels", "class_id", {}),
        (store.round_dir(0) / "queries.gpkg", "queries", "suggested", {"no suggestion": ""}),
    ):
        with closing(sqlite(path)) as connection:
            (qml,) = connection.execute(
                "SELECT styleQML FROM layer_styles WHERE f_table_name = ? AND useAsDefault = 1", (layer,)
            ).fetchone()
        root = ET.fromstring(qml)
        assert root.find("renderer-v2").get("attr") == field
        names = {item.get("label"): item.get("value") for item in root.iter("category")}
        classes = {info.name: str(info.id) for info in CLASSES.classes}
        assert names == classes | others
        picks = root.find(f"fieldConfiguration/field[@name='{field}']").iter("Option")
        assert {o.get("name"): o.get("value") for o in picks if o.get("value")} == classes


def test_an_authors_file_is_made_once(store, town):
    path = store.author_store("anna")
    store.add("anna", [make_label(town, 0, 0)])
    before = path.read_bytes()
    assert store.author_store("anna") == path
    assert path.read_bytes() == before


def test_authors_never_share_a_file(store):
    names = ["anna", "Anna", "anna ", "ánna", "../anna", "a/b", "a-b", "a b", "ANNA", "x" * 200, "x" * 201]
    paths = [store.author_store(name) for name in names]
    assert len({path.name.lower() for path in paths}) == len(names)
    assert {path.parent for path in paths} == {store.folder}


def test_a_newer_schema_is_refused_with_the_remedy(store):
    path = store.author_store("anna")
    with closing(sqlite(path)) as connection:
        connection.execute("UPDATE tsfal_meta SET value = '99' WHERE key = 'schema'")
    with pytest.raises(WorkspaceError, match=r"anna\.gpkg: label schema 99.*upgrade"):
        store.snapshot()


@pytest.mark.parametrize("content", [b"", b"not a database at all, but text" * 100])
def test_a_file_that_is_no_geopackage_is_reported_and_the_rest_read(store, town, content):
    store.add("anna", [make_label(town, 0, 0)])
    (store.folder / "broken.gpkg").write_bytes(content)
    found = store.snapshot()
    assert len(found.labels) == 1
    assert [issue.file for issue in found.rejected] == ["broken.gpkg"]


def test_a_truncated_file_is_reported(store, town):
    store.add("ben", [make_label(town, 0, n, 5) for n in range(200)])
    path = store.author_store("ben")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert [issue.file for issue in store.snapshot().rejected] == ["ben.gpkg"]


def test_a_copy_of_a_file_counts_once(store, town):
    store.add("anna", [make_label(town, 0, 0), make_label(town, 20, 20)])
    shutil.copy(store.author_store("anna"), store.folder / "anna from laptop.gpkg")
    store.add("anna", [make_label(town, 40, 40)])
    assert len(store.snapshot().labels) == 3


def test_files_from_elsewhere_are_read_when_put_into_the_folder(store, town):
    store.folder.mkdir(parents=True)
    frame = geopandas.GeoDataFrame({"class_id": [7]}, geometry=[square(town, 0, 0)], crs="EPSG:25832")
    frame.to_crs("EPSG:4326").to_file(store.folder / "ben.gpkg", layer="labels")
    frame.to_file(store.folder / "parcels.gpkg", layer="parcels")
    found = store.snapshot()
    assert [(label.class_id, label.author) for label in found.labels] == [(7, "ben")]
    assert {issue.reason for issue in found.notes} == {
        "in another CRS, reprojected to an accuracy of 1 m (11 pixels)",
        "no time; counts as the oldest",
    }
    assert [(issue.file, "labels import" in issue.reason) for issue in found.rejected] == [
        ("parcels.gpkg", True)
    ]


def import_or_add(pipe, root, town, how, labels):
    store = open_store(root, CLASSES, [town])
    pipe.send("ready")
    if how == "import":
        store.add_import("survey", labels)
    else:
        store.add("anna", labels, [Decision(f"q{n}", 1, "done") for n in range(100)])
    pipe.send("done")


def kill_at_random_moments(root, town, how, times):
    labels = [make_label(town, n % 50, n % 70, 4) for n in range(400)]
    store = open_store(root, CLASSES, [town])
    store.add("anna", labels[:10])
    # Timed as it is killed: in a process of its own, which is slower than here.
    here, there = FORK.Pipe()
    process = FORK.Process(target=import_or_add, args=(there, root.with_name("clock"), town, how, labels))
    process.start()
    here.recv()
    began = time.monotonic()
    here.recv()
    span = time.monotonic() - began
    process.join()
    outcomes = []
    for _ in range(times):
        before = len(store.snapshot().labels)
        here, there = FORK.Pipe()
        stamped = [replace(label, created=datetime.now(UTC)) for label in labels]
        process = FORK.Process(target=import_or_add, args=(there, root, town, how, stamped))
        process.start()
        here.recv()
        time.sleep(random.uniform(0, 1.2 * span))
        process.kill()
        process.join()
        found = store.snapshot()
        outcomes.append(len(found.labels) - before)
        assert outcomes[-1] in (0, len(labels))
        assert not found.rejected
        if how == "add" and outcomes[-1]:
            assert len(found.decisions) == 100
        for path in store.folder.glob("*.gpkg"):
            with closing(sqlite3.connect(path)) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return outcomes


@pytest.mark.parametrize("how", ["import", "add"])
def test_killed_at_any_moment_it_is_all_there_or_nothing(tmp_path, town, how):
    kill_at_random_moments(tmp_path / "ws", town, how, 6)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["import", "add"])
def test_killed_at_fifty_moments_it_is_all_there_or_nothing(tmp_path, town, how):
    outcomes = kill_at_random_moments(tmp_path / "ws", town, how, 50)
    assert len(set(outcomes)) == 2, "the moments did not straddle the commit"


def test_a_later_scene_in_another_crs_is_reported(tmp_path, town):
    open_store(tmp_path, CLASSES, [town]).author_store("anna")
    east = make_scene("east", crs="EPSG:25833")
    store = open_store(tmp_path, CLASSES, [town, east])
    with pytest.raises(WorkspaceError, match="east"):
        store.add("anna", [make_label(east, 0, 0)])
