"""One odd row or file is a finding that names the file and the person; everybody else's labels are used."""

import json
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
from contextlib import closing

import geopandas
import numpy as np
import pytest
import shapely

from tests.labels.conftest import CLASSES, make_label, make_scene, square
from tsfal_geo.geopackage import layers as gpkg_layers
from tsfal_geo.geopackage.connection import reading
from tsfal_geo.geopackage.geometry import register_functions
from tsfal_geo.labels.history import read_snapshot, take_snapshot
from tsfal_geo.labels.opening import open_store
from tsfal_geo.labels.rasterise import PolygonLabels

HEAD = b"GP\0\1" + struct.pack("<i", 25832)


@pytest.fixture
def store(tmp_path, town):
    """Two annotators with a label each; Ánna's file is about to be changed."""
    store = open_store(tmp_path / "ws", CLASSES, [town])
    store.add("Ánna", [make_label(town, 0, 0)])
    store.add("ben", [make_label(town, 30, 30, class_id=7)])
    return store


def change(store, *statements, values=()):
    """Run SQL on Ánna's file, without the format's triggers and constraints in the way."""
    path = store.author_store("Ánna")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        register_functions(connection)
        for name, kind in connection.execute("SELECT name, type FROM sqlite_master").fetchall():
            if kind == "trigger":
                connection.execute(f'DROP TRIGGER "{name}"')
        for statement in statements:
            connection.execute(statement, values if "?" in statement else ())
    return path


def arc(x, y, radius):
    """A full circle as well-known binary: a curve polygon of one circular string."""
    points = [(x - radius, y), (x, y + radius), (x + radius, y), (x, y - radius), (x - radius, y)]
    ring = struct.pack("<BII", 1, 8, 5) + b"".join(struct.pack("<dd", *point) for point in points)
    return struct.pack("<BII", 1, 10, 1) + ring


def found(store, rejected=0):
    """The snapshot, of which ben's label must be part; findings name the file and the person."""
    snapshot = store.snapshot()
    assert any(label.author == "ben" for label in snapshot.labels)
    assert len(snapshot.rejected) == rejected
    for issue in (*snapshot.rejected, *snapshot.notes):
        assert str(issue).startswith("anna-")
        assert "(Ánna)" in str(issue)
    take_snapshot(store, 0, snapshot)
    assert len(read_snapshot(store, 0).labels) == len(snapshot.labels)
    return snapshot


@pytest.mark.parametrize("kind", ["curve polygon", "multi-surface", "big-endian"])
def test_curves_are_drawn_as_segments(store, town, kind):
    x, y = square(town, 20, 20, 20).centroid.coords[0]
    body = arc(x, y, 0.8)
    if kind == "multi-surface":
        body = struct.pack("<BII", 1, 12, 1) + body
    if kind == "big-endian":
        points = struct.unpack("<10d", body[18:])
        body = struct.pack(">BIIBII", 0, 10, 1, 0, 8, 5) + struct.pack(">10d", *points)
    change(store, "UPDATE labels SET geom = ?", values=(HEAD + body,))
    snapshot = found(store)
    (label,) = (label for label in snapshot.labels if label.author == "Ánna")
    pixels = PolygonLabels([label], [town], CLASSES).pixels().sum()
    assert pixels == pytest.approx(np.pi * (0.8 / 0.09) ** 2, rel=0.05)
    assert any("curve" in issue.reason for issue in snapshot.notes)


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"GP",
        b"text",
        HEAD,
        HEAD + b"\1",
        HEAD + struct.pack("<BII", 1, 15, 0),  # a polyhedral surface
        HEAD + struct.pack("<BII", 1, 10, 0xFFFF_FFFF),
        HEAD + struct.pack("<BII", 1, 7, 1) + arc(497_001, 5_418_999, 1),  # a curve in a collection
        HEAD + struct.pack("<BII", 1, 3, 2**31),
        "text",
        7,
        1.5,
    ],
)
def test_a_geometry_that_cannot_be_read_costs_its_row_alone(store, town, blob):
    register = "INSERT INTO labels (geom, class_id, scene) SELECT ?, 3, 'town'"
    change(store, register, values=(blob,))
    snapshot = found(store, rejected=1)
    assert snapshot.rejected[0].fids == (2,)
    assert len(snapshot.labels) == 2


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("created", "0001-01-01T00:00:00+14:00"),
        ("created", "9999-12-31T23:59:59-12:00"),
        ("created", 1e300),
        ("created", b"\xff"),
        ("round", 1e300),
        ("round", -(10**18)),
        ("round", "many"),
        ("round", float("inf")),
        ("author", b"\xff\xfe"),
        ("author", 7),
        ("source", b"\0"),
    ],
)
def test_an_absurd_value_is_noted_and_the_row_used(store, column, value):
    change(store, f"UPDATE labels SET {column} = ?", values=(value,))
    snapshot = found(store)
    assert len(snapshot.labels) == 2


@pytest.mark.parametrize("column", ["author", "qid", "source"])
def test_text_that_is_not_utf8_is_noted_and_the_row_used(store, column):
    change(store, f"UPDATE labels SET {column} = CAST(x'61ff62' AS TEXT)")
    snapshot = found(store)
    assert len(snapshot.labels) == 2
    assert any("UTF-8" in issue.reason for issue in snapshot.notes)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM gpkg_spatial_ref_sys",
        "DROP TABLE gpkg_contents",
        "UPDATE tsfal_meta SET value = '{' WHERE key = 'crs'",
        "UPDATE tsfal_meta SET value = '[]' WHERE key = 'crs'",
        "UPDATE tsfal_meta SET value = '{\"labels\": \"no WKT\"}' WHERE key = 'crs'",
        "DELETE FROM tsfal_meta WHERE key = 'crs'",
        "DROP TABLE decisions",
        "UPDATE gpkg_spatial_ref_sys SET organization = 'EPSG', organization_coordsys_id = 1",
    ],
)
def test_damaged_metadata_do_not_cost_labels(store, statement):
    change(store, statement)
    assert len(found(store).labels) == 2


@pytest.mark.parametrize(
    "statements",
    [
        ["UPDATE tsfal_meta SET value = 'new' WHERE key = 'schema'"],
        ["DELETE FROM tsfal_meta WHERE key = 'crs'", "DELETE FROM gpkg_spatial_ref_sys",
         "UPDATE gpkg_geometry_columns SET srs_id = 7"],
        ["DROP TABLE labels"],
        ["UPDATE gpkg_geometry_columns SET column_name = 'shape'"],
    ],
)  # fmt: skip
def test_a_layer_that_cannot_be_read_costs_its_file_alone(store, statements):
    path = change(store, *statements)
    snapshot = store.snapshot()
    assert [label.author for label in snapshot.labels] == ["ben"]
    assert path.name in str(snapshot.rejected[0])


@pytest.mark.parametrize("table", ["labels", "decisions", "tsfal_meta"])
@pytest.mark.parametrize("rows", ["endless", "none"])
def test_a_view_without_an_end_costs_its_file_alone(store, monkeypatch, table, rows):
    monkeypatch.setattr(gpkg_layers, "READ_SECONDS", 0.5)
    columns = {
        "labels": "n AS fid, CAST(NULL AS BLOB) AS geom, 3 AS class_id",
        "decisions": "n AS fid, 'q' AS qid, 'done' AS status",
        "tsfal_meta": "'k' || n AS key, 'v' AS value",
    }[table]
    where = "" if rows == "endless" else "WHERE n < 0"
    change(
        store,
        f"DROP TABLE {table}",
        f"CREATE VIEW {table} AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) "
        f"SELECT {columns} FROM r {where}",
    )
    snapshot = store.snapshot()
    assert any(label.author == "ben" for label in snapshot.labels)
    assert any("end" in issue.reason for issue in snapshot.rejected)


def test_row_ids_that_are_no_numbers_are_replaced(store, town):
    frame = geopandas.GeoDataFrame({"class_id": [3, 3]}, geometry=[square(town, 0, 0)] * 2, crs=25832)
    path = store.folder / "carla.gpkg"
    frame.to_file(path, layer="labels")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE other (name TEXT PRIMARY KEY, geom BLOB, class_id INTEGER)")
        connection.execute("INSERT INTO other SELECT 'row ' || fid, geom, class_id FROM labels")
        connection.execute("UPDATE gpkg_geometry_columns SET table_name = 'labels_other'")
        connection.execute("ALTER TABLE other RENAME TO labels_other")
    assert [label.fid for label in store.snapshot().labels if label.author == "carla"] == [1, 2]


@pytest.mark.parametrize("name", ["carla.shp", "carla.geojson", "CARLA.GPKG", "carla.gdb"])
def test_every_file_of_labels_is_read_or_named(store, town, name):
    if name == "CARLA.GPKG":
        shutil.copy(store.author_store("ben"), store.folder / name)
        with closing(sqlite3.connect(store.folder / name, isolation_level=None)) as connection:
            register_functions(connection)
            connection.execute("UPDATE labels SET author = 'carla'")
        assert {label.author for label in store.snapshot().labels} == {"Ánna", "ben", "carla"}
        return
    (store.folder / name).write_text("{}")
    assert [(issue.file, "labels import" in issue.reason) for issue in store.snapshot().rejected] == [
        (name, True)
    ]


WRITER = """
import sqlite3, sys, os
from tsfal_geo.geopackage.geometry import register_functions
c = sqlite3.connect(sys.argv[1], isolation_level=None)
register_functions(c)
c.execute("PRAGMA journal_mode = WAL"); c.execute("PRAGMA wal_autocheckpoint = 0")
if sys.argv[2] == "log":
    c.execute("INSERT INTO labels (geom, class_id, scene) SELECT geom, 7, scene FROM labels")
    os._exit(0)
c.close()
"""
READER = """
import json, sys
from pathlib import Path
from tsfal_geo.geopackage.connection import reading
from tsfal_geo.geopackage.layers import read_layer
with reading(Path(sys.argv[1])) as connection:
    print(len(read_layer(connection, "labels", {}).fids))
"""


@pytest.mark.skipif(shutil.which("setpriv") is None and os.getuid() == 0, reason="root overrides permissions")
@pytest.mark.parametrize(("state", "rows"), [("empty", 1), ("log", 2)])
def test_a_write_ahead_log_in_a_read_only_folder_is_read(store, tmp_path, state, rows):
    folder = tmp_path / "share"
    folder.mkdir()
    shutil.copy(store.author_store("ben"), folder / "ben.gpkg")
    subprocess.run([sys.executable, "-c", WRITER, folder / "ben.gpkg", state], check=True)
    (folder / "ben.gpkg-shm").unlink(missing_ok=True)
    assert ((folder / "ben.gpkg-wal").exists()) == (state == "log")
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    ordinary = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner", "--inh-caps=-all"]
    command = [sys.executable, "-c", READER, folder / "ben.gpkg"]
    done = subprocess.run([*(ordinary if os.getuid() == 0 else []), *command], capture_output=True, text=True)
    folder.chmod(0o755)
    assert (done.stdout.strip(), done.stderr) == (str(rows), "")


@pytest.mark.parametrize(("reach", "used"), [(1e8, True), (1e11, True), (1e200, False)])
def test_polygons_that_reach_far_are_cut_or_refused(tmp_path, reach, used):
    scene = make_scene()
    huge = shapely.box(-reach, -reach, reach, reach)
    store = open_store(tmp_path, CLASSES, [scene])
    store.add("anna", [make_label(scene, 0, 0)])
    path = store.author_store("anna")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        register_functions(connection)
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
        connection.execute("UPDATE labels SET geom = ?", (HEAD + shapely.to_wkb(huge),))
    labels = store.snapshot().labels
    assert PolygonLabels(labels, [scene], CLASSES).pixels().sum() == (60 * 80 if used else 0)


def test_reading_leaves_the_text_factory_as_it_was(store):
    path = change(store, "UPDATE labels SET qid = CAST(x'ff' AS TEXT)")
    with reading(path) as connection:
        assert gpkg_layers.read_layer(connection, "labels", {}).column("qid") == ["\ufffd"]
        assert connection.text_factory is str
        assert json.loads(gpkg_layers.read_meta(connection, "x")["crs"])
