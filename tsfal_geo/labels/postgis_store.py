"""The label store as tables of a PostGIS database, to which a team writes at the same time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, override
from urllib.parse import parse_qsl, urlencode

import numpy as np
import psycopg
import pyproj
import shapely
from psycopg import errors, sql

from tsfal_geo.classes import ClassMap
from tsfal_geo.errors import LabelError, WorkspaceError
from tsfal_geo.geopackage.layers import LayerRows
from tsfal_geo.labels.assignment import assign_queries
from tsfal_geo.labels.issues import Issues
from tsfal_geo.labels.model import Decision, Label, LabelSnapshot, OnScene, Query, stored_geometries
from tsfal_geo.labels.postgis_schema import make_tables, srid_of
from tsfal_geo.labels.schema import DECISION_COLUMNS, LABEL_COLUMNS, QUERY_COLUMNS, author_slug
from tsfal_geo.labels.store import LabelStore
from tsfal_geo.labels.validation import (
    ValidationContext,
    check_labels,
    resolve_decisions,
    resolve_labels,
)
from tsfal_geo.raster.layer_crs import flip_y, layer_crs, scene_crs, stores_flipped_y
from tsfal_geo.raster.scene import Scene

LOCK_TIMEOUT = "10s"
DEFAULT_SCHEMA = "tsfal"
_IMPORT_LOCK = 7_251_965  # an arbitrary number, the key of the advisory lock
_ADD_DECISION = (
    "INSERT INTO decisions (qid, round, status, author, created) VALUES (%s, %s, %s, %s, %s) "
    "ON CONFLICT (round, qid, author) DO UPDATE SET status = excluded.status, created = excluded.created"
)
_ASSIGN = (
    "UPDATE queries SET handed_to = "
    "(SELECT array_agg(DISTINCT name ORDER BY name) FROM unnest(handed_to || %s::text[]) AS name) "
    "WHERE round = %s AND qid = %s"
)
_UNASSIGNED = (
    "SELECT qid FROM queries WHERE round = %s AND handed_to = '{}' AND qid <> ALL (%s) ORDER BY rank"
)


class PostgisStore(LabelStore):
    """The store of tables ``queries``, ``labels``, ``decisions`` in one schema; see `LabelStore`.

    Args:
        root: the workspace's folder, which keeps rounds and restorations.
        classes: the class map.
        scenes: the training scenes.
        url: ``postgresql://…``; ``schema=NAME`` among its parameters chooses the schema (``tsfal``).

    Raises:
        WorkspaceError: the database does not answer, or its tables are of a newer version.
    """

    def __init__(self, root: Path, classes: ClassMap, scenes: Sequence[Scene], url: str) -> None:
        super().__init__(root, classes, scenes)
        self._url, self.schema = _split(url)
        self._shown = _without_password(self._url)
        with self._transaction() as connection:
            make_tables(connection, self.schema, classes, layer_crs(scenes, "labels").values())
            self._srid = {scene.name: srid_of(connection, scene_crs(scene)) for scene in scenes}

    @override
    def write_queries(self, number: int, queries: Sequence[Query]) -> None:
        with self._transaction() as connection:
            connection.execute("DELETE FROM queries WHERE round = %s", (number,))
            self._insert_queries(connection, queries)

    @override
    def append_queries(self, number: int, queries: Sequence[Query]) -> None:
        with self._transaction() as connection:
            self._insert_queries(connection, queries)

    @override
    def read_queries(self, number: int | None = None) -> list[Query]:
        columns = ", ".join(QUERY_COLUMNS)
        with self._transaction() as connection:
            rows = connection.execute(
                f"SELECT {columns}, ST_AsBinary(geom) FROM queries "
                "WHERE round = coalesce(%s, (SELECT max(round) FROM queries)) ORDER BY rank, qid",
                (number,),
            ).fetchall()
        queries = []
        for *values, blob in rows:
            named: dict[str, Any] = dict(zip(QUERY_COLUMNS, values, strict=True))
            scene, shape = self.scenes.get(named["scene"]), _single(shapely.from_wkb(bytes(blob)))
            shape = flip_y(shape) if scene is not None and stores_flipped_y(scene) else shape
            queries.append(Query(**named, geometry=shape))
        return queries

    @override
    def query_scenes(self) -> dict[str, str]:
        with self._transaction() as connection:
            return dict(connection.execute("SELECT qid, scene FROM queries").fetchall())

    @override
    def author_store(self, author: str) -> None:
        author_slug(author)

    @override
    def add(self, author: str, labels: Iterable[Label], decisions: Iterable[Decision] = ()) -> None:
        author_slug(author)
        labels = [replace(label, author=author) for label in labels]
        check_labels(labels, self.scenes, self.classes)
        with self._transaction() as connection:
            self._add_labels(connection, labels, None)
            rows = [(item.qid, item.round, item.status, author, item.created) for item in decisions]
            with connection.cursor() as cursor:
                cursor.executemany(_ADD_DECISION, rows)

    @override
    def add_import(self, author: str, labels: Sequence[Label]) -> str:
        check_labels(labels, self.scenes, self.classes)
        with self._transaction() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_IMPORT_LOCK,))
            last = connection.execute(
                "SELECT coalesce(max(substring(batch FROM '[0-9]+$')::integer), 0) FROM labels"
            ).fetchone()
            batch = f"import-{(last[0] if last else 0) + 1}"
            self._add_labels(connection, labels, batch)
        return f"{self._shown} {self.schema}.labels, batch {batch}"

    @override
    def read_all(self) -> LabelSnapshot:
        columns = ", ".join(LABEL_COLUMNS)
        with self._transaction() as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            rows = connection.execute(
                "SELECT coalesce(batch, 'labels'), ST_SRID(geom), crs, id, ST_AsBinary(geom), "
                f"{columns} FROM labels ORDER BY id"
            ).fetchall()
            decision_rows = connection.execute(
                f"SELECT id, {', '.join(DECISION_COLUMNS)} FROM decisions ORDER BY id"
            ).fetchall()
        context = ValidationContext(self.scenes, self.classes, self.scene_of_query())
        labels: list[Label] = []
        issues: dict[str, Issues] = {}
        for (file, srid, wkt), group in _grouped(rows).items():
            labels += resolve_labels(
                _layer_rows(group, self._crs(srid, wkt)), context, issues.setdefault(file, Issues(file))
            )
        issues["decisions"] = decision_issues = Issues("decisions")
        names = ("fid", *DECISION_COLUMNS)
        decisions = resolve_decisions(
            [dict(zip(names, row, strict=True)) for row in decision_rows], "", decision_issues
        )
        return LabelSnapshot(
            tuple(labels),
            tuple(decisions),
            tuple(issue for gathered in issues.values() for issue in gathered.rejected),
            tuple(issue for gathered in issues.values() for issue in gathered.notes),
        )

    @override
    def assignments(self, number: int) -> dict[str, tuple[str, ...]]:
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT qid, handed_to FROM queries WHERE round = %s AND handed_to <> '{}'", (number,)
            ).fetchall()
        return {qid: tuple(authors) for qid, authors in rows}

    @override
    def save_assignments(self, number: int, assigned: dict[str, tuple[str, ...]]) -> None:
        with self._transaction() as connection:
            self._save_assignments(connection, number, assigned)

    @override
    def assign_queries(
        self, number: int, authors: Sequence[str], overlap: float = 0.0, count: int | None = None
    ) -> dict[str, tuple[str, ...]]:
        answered = list(self.snapshot().answered)
        limit = None if count is None else count * max(len(authors), 1)
        queries = {query.qid: query for query in self.read_queries(number)}
        with self._transaction() as connection:
            # Skips rows that another session is assigning; those that it has assigned are read as assigned.
            unassigned = connection.execute(
                f"{_UNASSIGNED} LIMIT %s FOR UPDATE SKIP LOCKED", (number, answered, limit)
            ).fetchall()
            assigned = assign_queries([queries[qid] for (qid,) in unassigned], authors, {}, overlap, count)
            self._save_assignments(connection, number, assigned)
        return assigned

    def _save_assignments(
        self, connection: psycopg.Connection, number: int, assigned: dict[str, tuple[str, ...]]
    ) -> None:
        with connection.cursor() as cursor:
            cursor.executemany(_ASSIGN, [(list(authors), number, qid) for qid, authors in assigned.items()])

    def _add_labels(self, connection: psycopg.Connection, labels: Sequence[Label], batch: str | None) -> None:
        rows = [[getattr(label, name) for name in LABEL_COLUMNS] + [batch] for label in labels]
        self._insert(connection, "labels", (*LABEL_COLUMNS, "batch"), labels, rows)

    @override
    def version(self) -> object:
        with self._transaction() as connection:
            # Each row holds the number of the transaction that wrote it.
            parts = (
                f"(SELECT (count(*), max(xmin::text::bigint))::text FROM {table})"
                for table in ("labels", "decisions")
            )
            row = connection.execute(f"SELECT {', '.join(parts)}").fetchone()
        restored = sorted((path.name, path.stat().st_mtime_ns) for path in self.folder.glob("*"))
        return row, restored

    def _insert_queries(self, connection: psycopg.Connection, queries: Sequence[Query]) -> None:
        rows = [[getattr(query, name) for name in QUERY_COLUMNS] for query in queries]
        self._insert(connection, "queries", QUERY_COLUMNS, queries, rows)

    def _insert(
        self,
        connection: psycopg.Connection,
        table: str,
        names: Sequence[str],
        items: Sequence[OnScene],
        rows: Sequence[Sequence[object]],
    ) -> None:
        if not rows:
            return
        parts, owner = shapely.get_parts(stored_geometries(items, self.scenes), return_index=True)
        blobs = shapely.to_wkb(shapely.multipolygons(parts, indices=owner))
        columns = sql.SQL(", ").join(map(sql.Identifier, (*names, "crs", "geom")))
        marks = sql.SQL(", ").join([sql.Placeholder()] * (len(names) + 1))
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}, ST_GeomFromWKB(%s, %s))").format(
            sql.Identifier(table), columns, marks
        )
        with connection.cursor() as cursor:
            cursor.executemany(
                statement,
                [
                    (*row, self._wkt(item.scene), blob, self._srid[item.scene])
                    for row, item, blob in zip(rows, items, blobs, strict=True)
                ],
            )

    def _wkt(self, scene: str) -> str | None:
        """WKT of a scene's CRS where the SRID does not name it."""
        crs = scene_crs(self.scenes[scene])
        return None if crs is None or self._srid[scene] else crs.to_wkt()

    def _crs(self, srid: int, wkt: str | None) -> pyproj.CRS | None:
        if wkt is not None:
            return pyproj.CRS.from_wkt(wkt)
        if srid:
            return pyproj.CRS.from_epsg(srid)
        crs = list(layer_crs(self.scenes.values(), "labels").values())
        return crs[0] if len(crs) == 1 else None

    @contextmanager
    def _transaction(self) -> Iterator[psycopg.Connection]:
        try:
            with psycopg.connect(self._url, connect_timeout=10) as connection:
                # PostGIS itself is in `public`.
                connection.execute(
                    sql.SQL("SET search_path TO {}, public").format(sql.Identifier(self.schema))
                )
                connection.execute(sql.SQL("SET lock_timeout TO {}").format(sql.Literal(LOCK_TIMEOUT)))
                connection.commit()
                yield connection
        except (errors.LockNotAvailable, errors.DeadlockDetected):
            raise WorkspaceError(
                f"{self._shown}: another session has locked rows for {LOCK_TIMEOUT}; run again"
            ) from None
        except (errors.IntegrityError, errors.DataError, errors.InternalError) as error:
            raise LabelError(
                f"{self._shown}: a row was refused ({_first_line(error)}); nothing was written"
            ) from None
        except psycopg.Error as error:
            raise WorkspaceError(
                f"{self._shown}: {_first_line(error)}; start the server, or correct the URL"
            ) from None


def _grouped(rows: Sequence[tuple[Any, ...]]) -> dict[tuple[str, int, str | None], list[tuple[Any, ...]]]:
    groups: dict[tuple[str, int, str | None], list[tuple[Any, ...]]] = {}
    for file, srid, wkt, *row in rows:
        groups.setdefault((file, srid, wkt), []).append(tuple(row))
    return groups


def _layer_rows(group: list[tuple[Any, ...]], crs: pyproj.CRS | None) -> LayerRows:
    fids, blobs, *columns = zip(*group, strict=True)
    shapes = shapely.force_2d(shapely.from_wkb(np.array([bytes(blob) for blob in blobs], dtype=object)))
    geometry = np.array([_single(shape) for shape in shapes], dtype=object)
    named = {name: list(values) for name, values in zip(LABEL_COLUMNS, columns, strict=True)}
    return LayerRows("labels", crs, list(fids), geometry, named)


def _single(shape: Any) -> Any:
    has_one_part = shape.geom_type == "MultiPolygon" and len(shape.geoms) == 1
    return shape.geoms[0] if has_one_part else shape


def _split(url: str) -> tuple[str, str]:
    base, _, query = url.partition("?")
    parameters = dict(parse_qsl(query))
    schema = parameters.pop("schema", DEFAULT_SCHEMA)
    return f"{base}?{urlencode(parameters)}" if parameters else base, schema


def _without_password(url: str) -> str:
    return re.sub(r"(?<=://)([^:@/]*):[^@]*@", r"\1@", url.partition("?")[0])


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
