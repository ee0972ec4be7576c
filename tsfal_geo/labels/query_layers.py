"""``queries.gpkg``: the queries of a round. Only the engine writes it; a live session adds rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tsfal_geo.classes import ClassMap
from tsfal_geo.geopackage import styles
from tsfal_geo.geopackage.connection import reading, writing
from tsfal_geo.geopackage.create import LayerSpec, create, new_file
from tsfal_geo.geopackage.layers import insert, layer_names, read_layer, read_meta
from tsfal_geo.geopackage.tables import quote
from tsfal_geo.labels import schema
from tsfal_geo.labels.model import Query, Scenes, by_layer, stored_geometries
from tsfal_geo.raster.layer_crs import flip_y, layer_crs, stores_flipped_y


def write_query_file(path: Path, queries: Sequence[Query], scenes: Scenes, classes: ClassMap) -> None:
    """Write queries with their style, whole or not at all.

    Args:
        path: the file; replaced if it is there.
        queries: the queries of a round.
        scenes: the scenes, by name.
        classes: the class map.
    """
    style = styles.query_style(classes)
    layers = [
        LayerSpec(name, crs, schema.query_columns(), style)
        for name, crs in layer_crs(scenes.values(), "queries").items()
    ]
    with new_file(path, replace=True) as temporary:
        create(temporary, layers, [], {"kind": "queries"})
        append_query_rows(temporary, queries, scenes)


def append_query_rows(path: Path, queries: Sequence[Query], scenes: Scenes) -> None:
    """Add queries to a file in one transaction.

    Args:
        path: the file, made by `write_query_file`.
        queries: the new queries.
        scenes: the scenes, by name.

    Raises:
        WorkspaceError: another program holds the file locked for too long.
    """
    with writing(path) as connection:
        for layer, group in by_layer(queries, scenes, "queries"):
            rows = [[getattr(query, name) for name in schema.QUERY_COLUMNS] for query in group]
            insert(connection, layer, stored_geometries(group, scenes), schema.QUERY_COLUMNS, rows)


def read_query_file(path: Path, scenes: Scenes) -> list[Query]:
    """Read queries by rank.

    Args:
        path: the file.
        scenes: the scenes, by name.

    Raises:
        LabelError: the file is damaged.
        WorkspaceError: it is of a newer schema.
    """
    queries = []
    with reading(path) as connection:
        meta = read_meta(connection, str(path))
        for layer in layer_names(connection, "queries"):
            rows = read_layer(connection, layer, meta)
            columns = zip(*(rows.column(name) for name in schema.QUERY_COLUMNS), strict=True)
            for shape, values in zip(rows.geometry, columns, strict=True):
                named: dict[str, Any] = dict(zip(schema.QUERY_COLUMNS, values, strict=True))
                scene = scenes.get(named["scene"])
                shape = flip_y(shape) if scene is not None and stores_flipped_y(scene) else shape
                queries.append(Query(**named, geometry=shape))
    return sorted(queries, key=lambda query: (query.rank, query.qid))


def query_scenes(path: Path) -> dict[str, str]:
    """Read the scene of every query, by qid, without the geometries.

    Args:
        path: the file.

    Raises:
        LabelError: the file is damaged.
        WorkspaceError: it is of a newer schema.
    """
    scenes: dict[str, str] = {}
    with reading(path) as connection:
        read_meta(connection, str(path))
        for layer in layer_names(connection, "queries"):
            scenes |= dict(connection.execute(f"SELECT qid, scene FROM {quote(layer)}").fetchall())
    return scenes
