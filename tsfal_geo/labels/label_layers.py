"""GeoPackages of labels and decisions: an annotator's, an import's, a round's snapshot, a restoration."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from tsfal_geo.classes import ClassMap
from tsfal_geo.errors import WorkspaceError
from tsfal_geo.geopackage import styles
from tsfal_geo.geopackage.connection import reading
from tsfal_geo.geopackage.create import LayerSpec, TableSpec, create
from tsfal_geo.geopackage.layers import LayerRows, insert, layer_names, read_layer, read_meta, read_table
from tsfal_geo.labels import schema
from tsfal_geo.labels.issues import Issues
from tsfal_geo.labels.model import Decision, Label, Scenes, by_layer, stamp, stored_geometries
from tsfal_geo.labels.validation import ValidationContext, resolve_decisions, resolve_labels
from tsfal_geo.raster.layer_crs import layer_crs

_ADD_DECISION = "INSERT INTO decisions (qid, round, status, author, created) VALUES (?, ?, ?, ?, ?)"
_OR_REPLACE = (
    " ON CONFLICT (round, qid) DO UPDATE SET status = excluded.status, author = excluded.author, "
    "created = excluded.created"
)


def create_label_file(
    path: Path, scenes: Scenes, classes: ClassMap, author: str, kind: str, extra: Sequence[str] = ()
) -> None:
    """Make an empty file with the layers, pick-lists, defaults and styles that an annotator needs.

    Args:
        path: the file; must not exist.
        scenes: the scenes to be labelled, by name.
        classes: the class map.
        author: the annotator, and the default author of rows; any text.
        kind: ``labels`` for a file that annotators write; ``taken`` (a snapshot) and ``restored`` (a
            restoration) have columns for the file and row that each label was read from.
        extra: CREATE statements of further tables.
    """
    own = kind == "labels"
    columns = schema.label_columns(author) if own else schema.snapshot_columns()
    style = styles.label_style(classes, author)
    layers = [
        LayerSpec(name, crs, columns, style, (schema.fill_trigger(name, author, source=True),) if own else ())
        for name, crs in layer_crs(scenes.values(), "labels").items()
    ]
    decisions = TableSpec(
        "decisions",
        schema.decision_table(author, one_each=own),
        styles.decision_style(),
        (schema.fill_trigger("decisions", author, source=False),) if own else (),
    )
    tables = [decisions, *(TableSpec(statement.split()[2], statement) for statement in extra)]
    create(path, layers, tables, {"kind": kind, "author": author, "classes": json.dumps(classes.to_json())})


def append(
    connection: sqlite3.Connection,
    scenes: Scenes,
    labels: Sequence[Label],
    decisions: Iterable[Decision],
    *,
    origin: bool = False,
) -> None:
    """Append labels and decisions within the connection's transaction.

    Args:
        connection: a write transaction on a file that `create_label_file` made.
        scenes: the scenes, by name.
        labels: they keep their authors.
        decisions: they keep their authors; in an annotator's file a later one on the same query replaces the
            earlier.
        origin: whether the file keeps the file and row that each label was read from.

    Raises:
        WorkspaceError: the file has no layer for a scene's CRS.
    """
    names = schema.SNAPSHOT_COLUMNS if origin else schema.LABEL_COLUMNS
    present = layer_names(connection, "labels")
    for layer, group in by_layer(labels, scenes, "labels"):
        if layer not in present:
            raise WorkspaceError(
                f"the label file of {group[0].author!r} has no layer {layer!r}: it is older than scene "
                f"{group[0].scene!r}; label under another author name"
            )
        insert(
            connection,
            layer,
            stored_geometries(group, scenes),
            names,
            [_label_row(item, origin) for item in group],
        )
    connection.executemany(
        _ADD_DECISION if origin else _ADD_DECISION + _OR_REPLACE,
        [(item.qid, item.round, item.status, item.author, stamp(item.created)) for item in decisions],
    )


def read_label_file(
    path: Path, context: ValidationContext, issues: Issues
) -> tuple[list[Label], list[Decision]]:
    """Read everything that is committed in a file; what is damaged is an issue, and the rest is read.

    Args:
        path: the file.
        context: scenes and classes that rows are validated against; the file's author replaces the context's.
        issues: takes the file's issues.

    Returns:
        Labels and decisions, in the order of their rows.

    Raises:
        WorkspaceError: it is of a newer schema, or locked for too long.
    """
    labels: list[Label] = []
    decisions: list[Decision] = []
    with issues.guarding(), reading(path) as connection:
        meta = read_meta(connection, str(path))
        context = replace(context, author=meta.get("author") or path.stem)
        issues.author = "" if context.author == path.stem else context.author
        layers = layer_names(connection, "labels")
        for layer in layers:
            with issues.guarding(f"layer {layer!r}"):
                labels += _layer_labels(read_layer(connection, layer, meta), context, issues)
        with issues.guarding("table 'decisions'"):
            rows = read_table(connection, "decisions")
            decisions += resolve_decisions(rows, context.author, issues)
            if not layers and not rows:
                issues.reject("no layer named 'labels'; bring it in with `tsfal-geo labels import`")
    return labels, decisions


def _layer_labels(rows: LayerRows, context: ValidationContext, issues: Issues) -> list[Label]:
    labels = resolve_labels(rows, context, issues)
    if "file_fid" not in rows.columns:
        return labels
    places = zip(rows.column("file"), rows.column("file_fid"), strict=True)
    origin = dict(zip(rows.fids, places, strict=True))
    return [
        replace(item, file=str(origin[item.fid][0]), fid=int(str(origin[item.fid][1]))) for item in labels
    ]


def _label_row(item: Label, origin: bool) -> list[object]:
    row = [item.class_id, item.scene, item.qid, item.round, item.author, stamp(item.created), item.source]
    return [*row, item.file, item.fid] if origin else row
