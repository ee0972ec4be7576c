"""The store in a real PostgreSQL with PostGIS; `scripts/postgis.sh` sets one up."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import urlencode
from uuid import uuid4

import pytest
import shapely

from tests.labels.conftest import CLASSES, make_label, make_query, make_scene
from tests.labels.test_store import StoreContract
from tsfal_geo.errors import LabelError, WorkspaceError
from tsfal_geo.labels.opening import open_store

psycopg = pytest.importorskip("psycopg", reason="NOT COVERED: PostGIS; psycopg is not installed")

SERVER = os.environ.get("TSFAL_TEST_POSTGIS", "postgresql:///tsfal_test?host=/var/run/postgresql&port=54330")


@pytest.fixture(scope="module")
def server():
    try:
        psycopg.connect(SERVER, connect_timeout=5).close()
    except psycopg.OperationalError as error:
        pytest.skip(f"NOT COVERED: PostGIS; no server ({error}); see scripts/postgis.sh")
    return SERVER


@pytest.fixture
def url(server):
    schema = f'test {uuid4().hex[:8]}"; DROP TABLE x; --'
    yield f"{server}{'&' if '?' in server else '?'}{urlencode({'schema': schema})}"
    with psycopg.connect(server) as connection:
        connection.execute(
            psycopg.sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(psycopg.sql.Identifier(schema))
        )


@pytest.fixture
def session(store, server):
    """Another client's connection, on the store's tables."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            psycopg.sql.SQL("SET search_path TO {}, public").format(psycopg.sql.Identifier(store.schema))
        )
        yield connection


class TestPostgis(StoreContract):
    pass


class TestOneScene:
    @pytest.fixture
    def store(self, tmp_path, town, url):
        return open_store(tmp_path / "ws", CLASSES, [town], url)

    def test_annotators_who_ask_at_once_never_get_the_same_query(self, store, town, tmp_path, url):
        store.write_queries(0, [make_query(town, f"q{n:03}", rank=n, size=1) for n in range(1, 201)])
        start = threading.Barrier(6)

        def fetch(name):
            own = open_store(tmp_path / "ws", CLASSES, [town], url)
            start.wait()
            return [qid for _ in range(5) for qid in own.assign_queries(0, [name], count=4)]

        with ThreadPoolExecutor(6) as pool:
            got = list(pool.map(fetch, "abcdef"))
        everything = [qid for some in got for qid in some]
        assert len(everything) == len(set(everything)) == 120
        assert len(store.assignments(0)) == 120

    def test_a_locked_row_is_reported_after_the_timeout(self, store, town, session, monkeypatch):
        monkeypatch.setattr("tsfal_geo.labels.postgis_store.LOCK_TIMEOUT", "200ms")
        store.write_queries(0, [make_query(town, "q1")])
        with session.transaction():
            session.execute("SELECT 1 FROM queries FOR UPDATE")
            with pytest.raises(WorkspaceError, match="locked"):
                store.save_assignments(0, {"q1": ("anna",)})
            assert store.assign_queries(0, ["anna"]) == {}
        assert store.assign_queries(0, ["anna"]) == {"q1": ("anna",)}

    def test_others_hear_of_every_change(self, store, town, session):
        session.execute("LISTEN qgis")
        store.add("anna", [make_label(town, 0, 0)])
        payloads = [note.payload for note in session.notifies(timeout=5, stop_after=1)]
        assert payloads == ["tsfal labels"]

    def test_an_uncommitted_write_neither_stops_a_read_nor_shows_in_it(self, store, town, session):
        store.add("anna", [make_label(town, 0, 0)])
        with session.transaction():
            session.execute("UPDATE labels SET class_id = 7")
            session.execute("LOCK TABLE labels IN ROW EXCLUSIVE MODE")
            assert [label.class_id for label in store.snapshot().labels] == [3]
        assert [label.class_id for label in store.snapshot().labels] == [7]

    @pytest.mark.parametrize(
        ("change", "constraint"),
        [
            ("class_id = 99", "classes"),
            ("class_id = NULL", "null"),
            ("source = 'dreamt'", "source"),
            ("geom = ST_Multi(ST_GeomFromText('POLYGON((0 0,1 1,1 0,0 1,0 0))', 25832))", "valid"),
            ("geom = ST_GeomFromText('MULTIPOLYGON EMPTY', 25832)", "polygon"),
            ("geom = ST_SetSRID(geom, 4326)", "SRID"),
        ],
    )
    def test_the_tables_refuse_what_cannot_train(self, store, town, session, change, constraint):
        store.add("anna", [make_label(town, 0, 0)])
        with pytest.raises(psycopg.Error, match=constraint):
            session.execute(f"UPDATE labels SET {change}")

    def test_what_a_client_draws_has_author_time_and_source(self, store, town, session):
        shape = make_label(town, 0, 0).geometry
        session.execute(
            "INSERT INTO labels (class_id, geom) VALUES (7, ST_Multi(ST_GeomFromWKB(%s, 25832)))",
            (shapely.to_wkb(shape),),
        )
        (label,) = store.snapshot().labels
        assert (label.scene, label.class_id, label.source) == ("town", 7, "drawn")
        assert label.author
        assert abs(label.created.timestamp() - time.time()) < 60

    def test_an_invalid_polygon_is_refused_with_all_other_rows(self, store, town):
        good = make_label(town, 0, 0)
        x0, y0, x1, y1 = good.geometry.bounds
        bow_tie = shapely.Polygon([(x0, y0), (x1, y1), (x1, y0), (x0, y1)])
        with pytest.raises(LabelError, match="nothing was written"):
            store.add("anna", [good, replace(good, geometry=bow_tie)])
        assert store.snapshot().labels == ()

    def test_tables_of_a_newer_version_are_refused(self, store, town, session, tmp_path, url):
        session.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
        with pytest.raises(WorkspaceError, match="upgrade"):
            open_store(tmp_path / "ws", CLASSES, [town], url)


def test_a_missing_server_is_reported_without_the_password(tmp_path):
    with pytest.raises(WorkspaceError, match=r"postgresql://anna@localhost:1/db: ") as caught:
        open_store(tmp_path, CLASSES, [make_scene()], "postgresql://anna:secret@localhost:1/db")
    assert "secret" not in str(caught.value)
