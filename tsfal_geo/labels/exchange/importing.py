"""Bringing in labels that were made elsewhere: vector files of several formats, and class rasters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tsfal_geo.classes import IGNORE, ClassMap
from tsfal_geo.errors import LabelError
from tsfal_geo.geopackage.connection import LayerRows
from tsfal_geo.labels.exchange.vector import PARQUET, RASTER, VECTOR, ImportOptions, _text, read_vector
from tsfal_geo.labels.issues import Issue, Issues
from tsfal_geo.labels.model import Label
from tsfal_geo.labels.store import LabelStore
from tsfal_geo.labels.validation import ValidationContext, resolve_labels


@dataclass(frozen=True)
class Imported:
    """What an import brought.

    Attributes:
        labels: the labels, on their scenes.
        left_out: number of rows that the mapping left out, or whose class is 255.
        rejected: rows that cannot be used, and why.
        notes: rows that are used otherwise than as they stand.
        kept: where the labels are kept; empty if there are none.
    """

    labels: tuple[Label, ...]
    left_out: int
    rejected: tuple[Issue, ...]
    notes: tuple[Issue, ...]
    kept: str = ""


def import_labels(store: LabelStore, path: Path, options: ImportOptions) -> Imported:
    """Bring a file's labels into the store: all that can be used, or, on an error, nothing.

    Raises:
        LabelError: not readable, of no known format, without a CRS, or with classes that nobody mapped.
    """
    if options.scene is not None and options.scene not in store.scenes:
        raise LabelError(f"--scene {options.scene}: expected one of {', '.join(store.scenes)}")
    if not path.is_file():
        raise LabelError(f"{path}: no such file")
    suffix = path.suffix.lower()
    if suffix in RASTER:
        from tsfal_geo.labels.exchange.raster import read_raster

        rows = read_raster(path, store, options)
    elif suffix in (*VECTOR, *PARQUET):
        rows = read_vector(path, store, options)
    else:
        known = ", ".join((*VECTOR, *PARQUET, *RASTER))
        raise LabelError(f"{path}: found {suffix or 'no suffix'}, expected one of {known}")
    kept_rows, left_out = match_classes(rows, store.classes, options, path)
    author = options.author or path.stem
    issues = Issues(path.name)
    context = ValidationContext(store.scenes, store.classes, store.scene_of_query(), author)
    labels = [replace(item, source="imported") for item in resolve_labels(kept_rows, context, issues)]
    kept = store.add_import(author, labels) if labels else ""
    return Imported(tuple(labels), left_out, issues.rejected, issues.notes, kept)


def match_classes(
    rows: LayerRows, classes: ClassMap, options: ImportOptions, path: Path
) -> tuple[LayerRows, int]:
    """Rows with class ids; those that the mapping leaves out are counted.

    A value is looked up in the mapping, then among the class ids, then among the names.

    Raises:
        LabelError: a value that means no class; all of them are told.
    """
    values = rows.column("class_id")
    unknown = Counter[str]()
    ids: list[object] = []
    for value in values:
        text = _text(value)
        found = None if text is None else class_of(text, classes, options.mapping)
        if text is not None and found is None:
            unknown[text] += 1
        ids.append(found)
    if unknown:
        told = ", ".join(f"{value!r} ({count})" for value, count in unknown.most_common(20))
        names = ", ".join(f"{info.id}={info.name}" for info in classes.classes)
        raise LabelError(
            f"{path}: values that are no class: {told}; the classes are {names}; "
            "give --map VALUE=CLASS for each, or --map VALUE= to leave it out"
        )
    keep = [index for index, value in enumerate(ids) if value != ""]
    columns = {name: [column[index] for index in keep] for name, column in rows.columns.items()}
    columns["class_id"] = [ids[index] for index in keep]
    kept = replace(rows, fids=[rows.fids[i] for i in keep], geometry=rows.geometry[keep], columns=columns)
    return kept, len(ids) - len(keep)


def class_of(text: str, classes: ClassMap, mapping: Mapping[str, str]) -> object:
    """Class id of a value; "" where it is left out (by the mapping, or 255); None where it is no class."""
    if text in mapping:
        target = mapping[text]
        return "" if target == "" else class_of(target, classes, {})
    if text == str(IGNORE):
        return ""
    for info in classes.classes:
        if text == str(info.id):
            return info.id
    for info in classes.classes:
        if text.casefold() == info.name.casefold():
            return info.id
    return None


def check_mapping(mapping: Mapping[str, str], classes: ClassMap) -> None:
    """Refuse a mapping to what is no class.

    Raises:
        LabelError: a target that is neither an id nor a name.
    """
    for value, target in mapping.items():
        if target and class_of(target, classes, {}) is None:
            names = ", ".join(f"{info.id}={info.name}" for info in classes.classes)
            raise LabelError(f"--map {value}={target}: no such class; the classes are {names}")
