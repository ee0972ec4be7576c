"""Import of labels from other programs: the class of each value, and the store that keeps the labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import shapely

from tsfal_geo.classes import ClassMap
from tsfal_geo.errors import LabelError
from tsfal_geo.geopackage.layers import LayerRows
from tsfal_geo.labels.exchange.class_columns import class_of, listed
from tsfal_geo.labels.exchange.options import JSON, RASTER, SUFFIXES, ImportOptions
from tsfal_geo.labels.exchange.vector import read_vector
from tsfal_geo.labels.issues import Issue, Issues
from tsfal_geo.labels.model import Label, stored_geometries
from tsfal_geo.labels.store import LabelStore
from tsfal_geo.labels.validation import ValidationContext, resolve_labels


@dataclass(frozen=True)
class ImportResult:
    """The labels and issues of an import.

    Attributes:
        labels: the new labels, on their scenes.
        left_out: number of rows that the mapping leaves out, or whose class is 255.
        rejected: rows that cannot be used, with the reason.
        notes: rows that were changed before use, with the change.
        kept: the file or batch that holds the labels; empty without labels.
        known: number of labels that an earlier import brought already.
    """

    labels: tuple[Label, ...]
    left_out: int
    rejected: tuple[Issue, ...]
    notes: tuple[Issue, ...]
    kept: str = ""
    known: int = 0


def import_labels(store: LabelStore, path: Path, options: ImportOptions) -> ImportResult:
    """Import a file's labels into a store: all that can be used or, on an error, nothing.

    Labels that an earlier import brought and that still hold are not brought again.

    Args:
        store: the label store.
        path: a vector file or a class raster.
        options: of the import.

    Returns:
        The labels and issues.

    Raises:
        LabelError: the file is not readable, of no known format, without a CRS, or has a value of no class.
        UserError: the file is GeoParquet and pyarrow is not installed.
    """
    if options.scene is not None and options.scene not in store.scenes:
        raise LabelError(f"--scene {options.scene}: expected one of {', '.join(store.scenes)}")
    if not path.exists():
        raise LabelError(f"{path}: no such file")
    issues = Issues(path.name)
    found, left_out = match_classes(_read(path, store, options, issues), store.classes, options, path)
    author = options.author or path.stem
    context = ValidationContext(store.scenes, store.classes, store.scene_of_query(), author, options.radius)
    labels = [
        replace(item, source="imported") for rows in found for item in resolve_labels(rows, context, issues)
    ]
    new = _new(labels, store)
    kept = store.add_import(author, new) if new else ""
    known = len(labels) - len(new)
    return ImportResult(tuple(new), left_out, issues.rejected, issues.notes, kept, known)


def _new(labels: Sequence[Label], store: LabelStore) -> list[Label]:
    """Return the labels that no earlier import brought; as many of equal ones as the file has more."""
    there = Counter(_keys([item for item in store.snapshot().labels if item.source == "imported"], store))
    new = []
    for item, key in zip(labels, _keys(labels, store), strict=True):
        if there[key]:
            there[key] -= 1
        else:
            new.append(item)
    return new


def _keys(labels: Sequence[Label], store: LabelStore) -> list[tuple[str, int, str, bytes]]:
    """Return scene, class, author and shape of labels, with shapes as a store holds them."""
    shapes = shapely.normalize(shapely.set_precision(stored_geometries(labels, store.scenes), 1e-6))
    bodies = shapely.to_wkb(shapes, byte_order=1, output_dimension=2).tolist()
    return [(each.scene, each.class_id, each.author, body) for each, body in zip(labels, bodies, strict=True)]


def _read(path: Path, store: LabelStore, options: ImportOptions, issues: Issues) -> list[LayerRows]:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES or path.is_dir() != (suffix == ".gdb"):
        kind = "a folder" if path.is_dir() else suffix or "no suffix"
        raise LabelError(
            f"{path}: found {kind}, expected one of {', '.join(SUFFIXES)} (.gdb: a folder); convert it with "
            "`ogr2ogr labels.gpkg FILE`"
        )
    if suffix in RASTER:
        from tsfal_geo.labels.exchange.raster import read_raster

        return [read_raster(path, store, options)]
    if suffix in JSON:
        from tsfal_geo.labels.exchange.coco import read_coco

        found = read_coco(path, store, options, issues)
        if found is not None:
            return found
    return [read_vector(path, store, options)]


def match_classes(
    layers: Sequence[LayerRows], classes: ClassMap, options: ImportOptions, path: Path
) -> tuple[list[LayerRows], int]:
    """Replace the values of the class column by class ids.

    Args:
        layers: rows with values in the column ``class_id``; see `class_columns.class_of`.
        classes: the class map.
        options: hold the mapping.
        path: the file, for the error.

    Returns:
        The rows that have a class, and the number of rows that are left out.

    Raises:
        LabelError: values of no class; the message lists them with their number of rows.
    """
    unknown = Counter[str]()
    kept: list[LayerRows] = []
    left_out = 0
    for rows in layers:
        values = rows.column("class_id")
        ids = [None if value is None else class_of(value, classes, options.mapping) for value in values]
        unknown.update(
            str(v) for v, found in zip(values, ids, strict=True) if v is not None and found is None
        )
        keep = [index for index, value in enumerate(ids) if value != ""]
        columns = {name: [column[index] for index in keep] for name, column in rows.columns.items()}
        columns["class_id"] = [ids[index] for index in keep]
        fids = [rows.fids[index] for index in keep]
        kept.append(replace(rows, fids=fids, geometry=rows.geometry[keep], columns=columns))
        left_out += len(ids) - len(keep)
    if unknown:
        found = ", ".join(f"{value!r} ({count})" for value, count in unknown.most_common(20))
        raise LabelError(
            f"{path}: found values of no class: {found}; expected one of {listed(classes)}; "
            "name the class of each with --map VALUE=CLASS, or leave it out with --map VALUE="
        )
    return kept, left_out
