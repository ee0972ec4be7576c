"""The label store as tables of a PostGIS database, for teams."""

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
from tsfal_geo.geopackage.connection import LayerRows
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
_IMPORTING = 7_251_965
_ADD_DECISION = (
    "INSERT INTO decisions (qid, round, status, author, created) VALUES (%s, %s, %s, %s, %s) "
    "ON CONFLICT (round, qid, author) DO UPDATE SET status = excluded.status, created = excluded.created"
)
_ASSIGN = (
    "UPDATE queries SET handed_to = "
    "(SELECT array_agg(DISTINCT name ORDER BY name) FROM unnest(handed_to || %s::text[]) AS name) "
    "WHERE round = %s AND qid = %s"
)
_FREE = "SELECT qid FROM queries WHERE round = %s AND handed_to = '{}' AND qid <> ALL (%s) ORDER BY rank"


class PostgisStore(LabelStore):
    """Tables ``queries``, ``labels``, ``decisions`` in one schema of a database.

    Args:
        root: the workspace's folder; rounds and restorations stay there.
        classes: the class map.
        scenes: the training scenes.
        url: ``postgresql://…``; ``schema=NAME`` among its parameters chooses the schema (``tsfal``).

    Raises:
        WorkspaceError: the database cannot be reached, or its tables are of a newer version.
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
            rows = [[getattr(query, name) for name in QUERY_COLUMNS] for query in queries]
            self._insert(connection, "queries", QUERY_COLUMNS, queries, rows)

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
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_IMPORTING,))
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
            decided = connection.execute(
                f"SELECT id, {', '.join(DECISION_COLUMNS)} FROM decisions ORDER BY id"
            ).fetchall()
        context = ValidationContext(self.scenes, self.classes, self.scene_of_query())
        labels: list[Label] = []
        issues: dict[str, Issues] = {}
        for (file, srid, wkt), group in _grouped(rows).items():
            told = issues.setdefault(file, Issues(file))
            labels += resolve_labels(_rows(group, self._crs(srid, wkt)), context, told)
        told = issues.setdefault("decisions", Issues("decisions"))
        names = ("fid", *DECISION_COLUMNS)
        decisions = resolve_decisions([dict(zip(names, row, strict=True)) for row in decided], "", told)
        return LabelSnapshot(
            tuple(labels),
            tuple(decisions),
            tuple(item for told in issues.values() for item in told.rejected),
            tuple(item for told in issues.values() for item in told.notes),
        )

    @override
    def assignments(self, number: int) -> dict[str, tuple[str, ...]]:
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT qid, handed_to FROM queries WHERE round = %s AND handed_to <> '{}'", (number,)
            ).fetchall()
        return {qid: tuple(people) for qid, people in rows}

    @override
    def save_assignments(self, number: int, given: dict[str, tuple[str, ...]]) -> None:
        with self._transaction() as connection:
            self._save_assignments(connection, number, given)

    @override
    def assign_queries(
        self, number: int, authors: Sequence[str], overlap: float = 0.0, count: int | None = None
    ) -> dict[str, tuple[str, ...]]:
        answered = list(self.snapshot().answered)
        limit = None if count is None else count * max(len(authors), 1)
        queries = {query.qid: query for query in self.read_queries(number)}
        with self._transaction() as connection:
            # Rows that another session is handing out are passed over; those it handed out are seen as taken.
            free = connection.execute(
                f"{_FREE} LIMIT %s FOR UPDATE SKIP LOCKED", (number, answered, limit)
            ).fetchall()
            given = assign_queries([queries[qid] for (qid,) in free], authors, {}, overlap, count)
            self._save_assignments(connection, number, given)
        return given

    def _save_assignments(
        self, connection: psycopg.Connection, number: int, given: dict[str, tuple[str, ...]]
    ) -> None:
        with connection.cursor() as cursor:
            cursor.executemany(_ASSIGN, [(list(people), number, qid) for qid, people in given.items()])

    def _add_labels(self, connection: psycopg.Connection, labels: Sequence[Label], batch: str | None) -> None:
        rows = [[getattr(label, name) for name in LABEL_COLUMNS] + [batch] for label in labels]
        self._insert(connection, "labels", (*LABEL_COLUMNS, "batch"), labels, rows)

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
        """The CRS, where the SRID does not say it."""
        crs = scene_crs(self.scenes[scene])
        return None if crs is None or self._srid[scene] else crs.to_wkt()

    def _crs(self, srid: int, wkt: str | None) -> pyproj.CRS | None:
        if wkt is not None:
            return pyproj.CRS.from_wkt(wkt)
        if srid:
            return pyproj.CRS.from_epsg(srid)
        alone = list(layer_crs(self.scenes.values(), "labels").values())
        return alone[0] if len(alone) == 1 else None

    @contextmanager
    def _transaction(self) -> Iterator[psycopg.Connection]:
        try:
            with psycopg.connect(self._url, connect_timeout=10) as connection:
                # `public` holds PostGIS itself.
                connection.execute(
                    sql.SQL("SET search_path TO {}, public").format(sql.Identifier(self.schema))
                )
                connection.execute(sql.SQL("SET lock_timeout TO {}").format(sql.Literal(LOCK_TIMEOUT)))
                connection.commit()
                yield connection
        except (errors.LockNotAvailable, errors.DeadlockDetected):
            raise WorkspaceError(
                f"{self._shown}: another session has held rows locked for {LOCK_TIMEOUT}; run again"
            ) from None
        except (errors.IntegrityError, errors.DataError, errors.InternalError) as error:
            raise LabelError(f"{self._shown}: refused, nothing was written ({_first_line(error)})") from None
        except psycopg.Error as error:
            raise WorkspaceError(
                f"{self._shown}: {_first_line(error)}; is the server up, the URL right?"
            ) from None


def _grouped(rows: Sequence[tuple[Any, ...]]) -> dict[tuple[str, int, str | None], list[tuple[Any, ...]]]:
    groups: dict[tuple[str, int, str | None], list[tuple[Any, ...]]] = {}
    for file, srid, wkt, *row in rows:
        groups.setdefault((file, srid, wkt), []).append(tuple(row))
    return groups


def _rows(group: list[tuple[Any, ...]], crs: pyproj.CRS | None) -> LayerRows:
    fids, blobs, *columns = zip(*group, strict=True)
    shapes = shapely.force_2d(shapely.from_wkb(np.array([bytes(blob) for blob in blobs], dtype=object)))
    geometry = np.array([_single(shape) for shape in shapes], dtype=object)
    named = {name: list(values) for name, values in zip(LABEL_COLUMNS, columns, strict=True)}
    return LayerRows("labels", crs, list(fids), geometry, named)


def _single(shape: Any) -> Any:
    alone = shape.geom_type == "MultiPolygon" and len(shape.geoms) == 1
    return shape.geoms[0] if alone else shape


def _split(url: str) -> tuple[str, str]:
    base, _, query = url.partition("?")
    parameters = dict(parse_qsl(query))
    schema = parameters.pop("schema", DEFAULT_SCHEMA)
    return f"{base}?{urlencode(parameters)}" if parameters else base, schema


def _without_password(url: str) -> str:
    return re.sub(r"(?<=://)([^:@/]*):[^@]*@", r"\1@", url.partition("?")[0])


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
